"""The command: outputs that others script, exit codes, one sentence for what went wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lokole import __version__
from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.cli import main
from lokole.sync.sealed import write_sealed
from lokole.testing import make_box
from tests.unit.sync.sealed_samples import BOX, BOX_PUBLIC, HEADER, RANDOM, RECORDS, SERVER, SERVER_PUBLIC

MESSAGE = b"""From: Claire <claire@example.org>\r
To: ann@village.lokole.test\r
Subject: News\r
Date: Mon, 23 Nov 2026 10:00:00 +0100\r
Message-ID: <1@example.org>\r
Content-Type: text/plain; charset=utf-8\r
\r
2 < 3\r
"""


def run(*arguments: str, input: bytes | None = None, **settings: str) -> Result:
    """Run the command in this process with ``settings`` and no others."""
    cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("LOKOLE_", "OPWEN_"))}
    return CliRunner().invoke(main, arguments, input=input, env={**cleared, **settings}, catch_exceptions=False)


@pytest.fixture
def data(tmp_path: Path, migrated: Path) -> Path:
    """The folder of a box whose database is up to date, so that no test waits for that."""
    shutil.copy(migrated, tmp_path / "lokole.db")
    return tmp_path


def one_sentence(text: str) -> bool:
    return text.count("\n") == 1 and text[0].isupper() and text.rstrip()[-1] in ".?!"


def test_it_says_its_version() -> None:
    assert run("--version").output == f"lokole, version {__version__}\n"


def test_every_command_says_what_it_is_for() -> None:
    def helps(command: click.Command, path: tuple[str, ...]) -> None:
        shown = run(*path, "--help")
        assert shown.exit_code == 0
        assert command.help, path
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                helps(inner, (*path, name))

    helps(main, ())


def test_a_message_is_one_line_in_the_fields_of_the_exchange_format(tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(MESSAGE)
    shown = run("mail", "parse", str(file))
    assert shown.stdout.count("\n") == 1
    fields = json.loads(shown.stdout)
    assert fields["_uid"] == hashlib.sha256(MESSAGE).hexdigest()
    assert fields["sent_at"] == "2026-11-23 09:00"
    assert (fields["from"], fields["to"], fields["cc"], fields["bcc"]) == (
        "claire@example.org",
        ["ann@village.lokole.test"],
        [],
        [],
    )
    assert fields["subject"] == "News"
    assert "2 &lt; 3" in fields["body"]
    assert fields["attachments"] == []


def test_markup_is_shown_as_it_came_when_a_message_is_parsed(tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p onclick=x()>hi</p>\r\n")
    assert "onclick" in json.loads(run("mail", "parse", str(file)).stdout)["body"]


@pytest.mark.parametrize("name", ["p.tar.zstd", "p.tar.gz", "p.tgz", "p.tar.bz2", "p.tar.xz", "p.tar", "p.jsonl.gz"])
def test_a_package_written_and_read_is_what_it_was(tmp_path: Path, name: str) -> None:
    lines = [
        json.dumps({"kind": "email", "_uid": f"u{n}", "from": "a@example.org", "subject": f"No {n}"}) for n in range(3)
    ]
    out = tmp_path / name
    written = run("package", "write", str(out), input="\n".join(lines).encode())
    assert (written.exit_code, written.output) == (0, "")
    records = [json.loads(line) for line in run("package", "read", str(out)).stdout.splitlines()]
    assert [(record["kind"], record["_uid"], record["subject"]) for record in records] == [
        ("email", f"u{n}", f"No {n}") for n in range(3)
    ]


def test_a_package_may_hold_all_kinds_of_records(tmp_path: Path) -> None:
    lines = [
        {"kind": "email", "_uid": "u", "from": "a@example.org"},
        {"kind": "attachment", "_uid": "f", "filename": "a.txt", "content": "aGVsbG8=", "emails": ["u"]},
        {"kind": "account", "email": "ann@village.lokole.test"},
    ]
    out = tmp_path / "p"
    run("package", "write", str(out), "--format", "zstd", input="\n".join(map(json.dumps, lines)).encode())
    read = [json.loads(line) for line in run("package", "read", str(out)).stdout.splitlines()]
    assert [record["kind"] for record in read] == ["email", "attachment", "account"]


@pytest.mark.parametrize("checked", [True, False])
def test_whoever_has_the_key_sees_all_that_travels_in_a_sealed_package(tmp_path: Path, checked: bool) -> None:
    with (tmp_path / "p.lkl").open("wb") as out:
        write_sealed(
            out, HEADER, RECORDS, sender_seed=BOX, recipient_public=SERVER_PUBLIC, entropy=lambda size: RANDOM[:size]
        )
    keys = [SERVER.hex(), BOX_PUBLIC.hex()]
    (tmp_path / "key").write_text("\n".join(keys if checked else keys[:1]))
    shown = run("package", "read", "--key", str(tmp_path / "key"), str(tmp_path / "p.lkl"))
    assert shown.exit_code == 0
    first, *rest = [json.loads(line) for line in shown.stdout.splitlines()]
    assert (first["kind"], first["seq"], first["verified"]) == ("package", HEADER.seq, checked)
    assert [one["kind"] for one in rest] == [
        *("email", "email", "attachment", "account", "receipt", "flag", "flag", "request", "health", "ack", "digest"),
        *("told", "unknown"),
    ]
    assert (rest[0]["from"], rest[0]["attachments"][0]["filename"]) == ("ann@village.lokole.ca", "a.txt")
    for wrong in (b"hello", (tmp_path / "p.lkl").read_bytes()[:-1]):
        (tmp_path / "bad").write_bytes(wrong)
        refused = run("package", "read", "--key", str(tmp_path / "key"), str(tmp_path / "bad"))
        assert refused.exit_code == 1
        assert one_sentence(refused.stderr)


def test_a_message_parsed_goes_straight_into_a_package(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MESSAGE)
    line = run("mail", "parse", str(tmp_path / "a.eml")).stdout
    run("package", "write", str(tmp_path / "p.tar.gz"), input=line.encode())
    (record,) = [json.loads(line) for line in run("package", "read", str(tmp_path / "p.tar.gz")).stdout.splitlines()]
    assert (record["kind"], record["subject"]) == ("email", "News")


def test_a_format_that_nobody_named_is_asked_for(tmp_path: Path) -> None:
    shown = run("package", "write", str(tmp_path / "package"), input=b"")
    assert shown.exit_code == 2
    assert one_sentence(shown.stderr)
    assert "--format" in shown.stderr


def test_a_bad_line_is_named_by_its_number_and_nothing_is_written(tmp_path: Path) -> None:
    shown = run("package", "write", str(tmp_path / "p.tar.gz"), input=b'{"kind":"email","_uid":"u"}\nnonsense\n')
    assert shown.exit_code == 1
    assert one_sentence(shown.stderr)
    assert "ine 2" in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_package_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"these are no records")
    shown = run("package", "read", str(tmp_path / "p"))
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert one_sentence(shown.stderr)


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    assert run("mail", "parse", "/not/there").exit_code == 2
    assert run("package", "read", "/not/there").exit_code == 2


def test_settings_are_checked_for_each_side() -> None:
    assert run("config", "check").output == "The settings are complete.\n"
    assert run("config", "check", "device").exit_code == 0
    wrong = run("config", "check", "server")
    assert wrong.exit_code == 2
    assert "LOKOLE_REGISTRATION_PASSWORD is missing" in wrong.stderr
    right = run(
        "config", "check", "server", LOKOLE_REGISTRATION_USERNAME="op", LOKOLE_REGISTRATION_PASSWORD="long enough",
        LOKOLE_MAIL_OUT="recorder:",
    )  # fmt: skip
    assert right.exit_code == 0


def test_each_problem_of_the_settings_is_a_line(tmp_path: Path) -> None:
    shown = run("config", "check", OPWEN_SIM_TYPE="Ethernet", LOKOLE_THREADS="many", LOKOLE_DATA=str(tmp_path))
    assert shown.exit_code == 2
    assert shown.stderr.splitlines() == [
        "LOKOLE_THREADS cannot be “many”: it must be a number.",
        "OPWEN_SIM_TYPE is a setting of the first Lokole: use LOKOLE_UPLINK.",
    ]


def test_the_description_names_both_sides_or_one() -> None:
    both, device, server = (
        run("config", "describe").output,
        run("config", "describe", "device").output,
        run("config", "describe", "server").output,
    )
    assert "LOKOLE_UPLINK" in device
    assert "LOKOLE_UPLINK" not in server
    assert "LOKOLE_MAIL_OUT" in server
    assert device in both
    assert server in both


def test_wrong_settings_stop_every_program(tmp_path: Path) -> None:
    for command in (["device"], ["sync"], ["device", "admin", "ann"], ["device", "register", "code"]):
        shown = run(*command, LOKOLE_DATA=str(tmp_path / "box"), LOKOLE_UNKNOWN="1")
        assert shown.exit_code == 2, command
        assert shown.stderr == "LOKOLE_UNKNOWN is no setting. See `lokole config describe`.\n"
    assert list(tmp_path.iterdir()) == []


def test_an_exchange_of_a_box_without_a_place_reports_it(data: Path) -> None:
    shown = run("sync", "--json", LOKOLE_DATA=str(data))
    assert shown.exit_code == 75
    report = json.loads(shown.stdout)
    assert list(report) == [
        "started", "seconds", "letters_up", "letters_down", "bytes_up", "bytes_down", "quarantined", "waiting", "result",
    ]  # fmt: skip
    assert report["result"] == "unregistered"
    assert one_sentence(shown.stderr)


def test_an_exchange_that_does_not_go_through_is_one_sentence_and_may_be_tried_again(data: Path) -> None:
    make_box(data, peer=InProcessExchange()).ports.database.close()
    shown = run("sync", "--json", LOKOLE_DATA=str(data), LOKOLE_SERVER_URL="http://127.0.0.1:9")
    assert shown.exit_code == 75
    assert json.loads(shown.stdout)["result"] == "no-connection"
    assert one_sentence(shown.stderr)


def test_an_administrator_gets_a_one_time_password(data: Path) -> None:
    shown = run("device", "admin", "amina", LOKOLE_DATA=str(data))
    assert shown.exit_code == 0
    assert len(shown.stdout.strip()) == 14
    wrong = run("device", "admin", "not a name", LOKOLE_DATA=str(data))
    assert wrong.exit_code == 1
    assert one_sentence(wrong.stderr)


def test_registering_without_a_server_or_without_a_line_says_so(data: Path) -> None:
    nowhere = run("device", "register", "code", LOKOLE_DATA=str(data))
    assert nowhere.exit_code == 1
    assert "--server" in nowhere.stderr
    closed = run("device", "register", "code", "--server", "http://127.0.0.1:9", LOKOLE_DATA=str(data))
    assert closed.exit_code == 75
    assert one_sentence(closed.stderr)


def test_a_database_is_brought_up_to_date_and_a_repeat_does_nothing(tmp_path: Path) -> None:
    from lokole.mailbox.migrate import is_current

    url = f"sqlite:///{tmp_path / 'lokole.db'}"
    for _ in range(2):
        assert run("migrate", "--database", url).exit_code == 0
        assert is_current(url)


def test_packages_of_the_other_side_are_not_needed() -> None:
    """`lokole config` and the box import nothing that only a server has, and the other way round."""
    script = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {hidden}: raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from lokole.cli import main\n"
        "main({arguments}, standalone_mode=False)\n"
    )
    server_only = {"connexion", "starlette", "uvicorn", "a2wsgi", "httpx", "httpx2", "aiosmtpd", "psycopg", "obstore"}
    device_only = {"waitress", "apscheduler"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOKOLE_", "OPWEN_"))}

    def outcome(hidden: set[str], arguments: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script.format(hidden=hidden, arguments=arguments)],
            capture_output=True, text=True, env={**clean, **settings}, check=False,
        )  # fmt: skip

    for arguments in (["config", "describe"], ["config", "check"], ["--version"]):
        done = outcome(server_only | device_only, arguments)
        assert done.returncode == 0, done.stderr
    missing = outcome(server_only, ["local", "--data", "/nonexistent/lokole"])
    assert missing.returncode == 1
    assert one_sentence(missing.stderr)
    assert "install lokole[device,server]" in missing.stderr
    missing = outcome(device_only, ["device"], LOKOLE_DATA="/nonexistent/lokole")
    assert missing.stderr == "This needs the package apscheduler: install lokole[device].\n"
