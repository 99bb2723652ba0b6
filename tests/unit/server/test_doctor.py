"""What the doctor says of a server: all that can be wrong is found, said in one line, and followed by what to do."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.cli import main
from lokole.config import Url
from lokole.mail.errors import Temporary
from lokole.mailbox.database import Database
from lokole.server.doctor import Finding, examine
from tests.fakes.cloudflare import TOKEN, FakeCloudflare
from tests.fakes.sendgrid_parse import KEY, FakeSendGridParse
from tests.sendgrid import KEY as OUT_KEY
from tests.sendgrid import sendgrid as out
from tests.servers_dns import name_server
from tests.servers_mail import cannot_start, free_port
from tests.unit.server.place import Place, message, place_in

DOMAIN = "a.lokole.test"


def findings(place: Place) -> dict[str, Finding]:
    return {one.name: one for one in examine(place.ports)}


def certificate(folder: Path, days: int) -> dict[str, Any]:
    """Settings with a certificate that ends in ``days``."""
    program = shutil.which("openssl")
    if program is None:
        cannot_start("openssl is not installed here.")
    pair = {"smtp_tls_certificate": folder / "chain.pem", "smtp_tls_key": folder / "key.pem"}
    subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
         "-subj", "/CN=mail.lokole.test", "-keyout", pair["smtp_tls_key"], "-out", pair["smtp_tls_certificate"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return pair


def test_a_server_that_is_well_has_nothing_to_do(tmp_path: Path) -> None:
    well: dict[str, Any] = {"mail_hosts": ("mail.lokole.test",), "alarm_to": ("ops@example.org",)}
    with place_in(tmp_path, address=Url("http://127.0.0.1"), **well) as place:
        box = place.box(DOMAIN, ["ann"])
        place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
        found = findings(place)
        assert {name: one.state for name, one in found.items()} == {
            "blobs": "good", "queue": "good", "disk": "good", "boxes": "good", "alarm": "good", f"dns {DOMAIN}": "good",
        }  # fmt: skip
        assert all(one.advice == "" for one in found.values())
        assert list(place.ports.blobs.list("doctor/")) == []


def test_an_alarm_that_nobody_hears_is_found(place: Place) -> None:
    found = findings(place)["alarm"]
    assert (found.state, "LOKOLE_ALARM_TO" in found.advice) == ("warning", True)


def test_a_store_that_fails_is_found_and_the_rest_is_looked_at(place: Place) -> None:
    class Broken(MemoryBlobStore):
        def put(self, key: str, content: Any) -> bool:
            raise Temporary("the store is out of reach")

    object.__setattr__(place.ports, "blobs", Broken())
    found = findings(place)
    assert found["blobs"].state == "bad"
    assert "out of reach" in found["blobs"].sentence
    assert found["queue"].state == "good"


def test_an_error_that_is_not_ours_is_told_without_its_text(place: Place) -> None:
    class Broken(MemoryBlobStore):
        def put(self, key: str, content: Any) -> bool:
            raise RuntimeError("a secret")

    object.__setattr__(place.ports, "blobs", Broken())
    assert "a secret" not in findings(place)["blobs"].line


def test_work_that_nobody_does_and_work_that_was_given_up_are_found(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    place.ports.bell.work_inline(lambda: None)
    place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
    place.clock.pass_by(hours=3)
    found = findings(place)["queue"]
    assert found.state == "bad"
    assert "3 hours" in found.sentence
    assert "lokole worker" in found.advice
    with place.ports.database.write() as tx:
        tx.exec_driver_sql("UPDATE job SET state = 'dead' WHERE state = 'ready'")
    found = findings(place)["given-up"]
    assert (found.state, found.sentence) == ("warning", "1 pieces of work were given up")


@pytest.mark.parametrize(
    ("apart", "state"),
    [(timedelta(seconds=-20), "good"), (timedelta(minutes=-2), "bad"), (timedelta(hours=1), "bad")],
)
def test_a_clock_that_is_far_from_that_of_a_shared_database_is_found(
    place: Place, apart: timedelta, state: str
) -> None:
    class Elsewhere(Database):
        def time(self) -> datetime:
            return place.clock.now + apart

    elsewhere = Elsewhere(place.ports.database.url)
    (found,) = (one for one in examine(replace(place.ports, database=elsewhere)) if one.name == "clock")
    elsewhere.close()
    assert found.state == state
    assert (state == "good") == (found.advice == "")


def test_a_box_that_stays_away_is_found(place: Place) -> None:
    place.box(DOMAIN, ["ann"])
    place.clock.pass_by(days=4)
    assert findings(place)[f"box {DOMAIN}"].sentence == "it has missed 4 nights"


def test_records_that_are_wrong_are_found(tmp_path: Path) -> None:
    with name_server(mx={DOMAIN: [(10, "mail.lokole.test")]}) as port:
        settings: dict[str, Any] = {"dns": Url("manual:"), "resolver": f"127.0.0.1:{port}", "spf": "v=spf1 mx -all"}
        with place_in(tmp_path, mail_hosts=("mail.lokole.test",), **settings) as place:
            place.register(DOMAIN)
            place.register("b.lokole.test")
            found = findings(place)
    assert found[f"dns {DOMAIN}"].state == "warning"
    assert found[f"dns {DOMAIN}"].sentence == f"TXT of {DOMAIN} is missing"
    assert found["dns b.lokole.test"].state == "bad"
    assert found["dns b.lokole.test"].advice == "lokole server dns b.lokole.test"


@pytest.mark.parametrize(("days", "state"), [(900, "good"), (1, "warning")])
def test_a_certificate_is_looked_at_before_it_ends(tmp_path: Path, days: int, state: str) -> None:
    with place_in(tmp_path, **certificate(tmp_path, days)) as place:
        place.clock.now = datetime.now(UTC)
        assert findings(place)["smtp-tls"].state == state
        place.clock.pass_by(days=days + 1)
        assert findings(place)["smtp-tls"].state == "bad"


def test_a_certificate_that_is_not_the_keys_or_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pair, other = certificate(tmp_path, 100), certificate(tmp_path / "other", 100)
    for changed in ({"smtp_tls_key": other["smtp_tls_key"]}, {"smtp_tls_certificate": tmp_path / "nothing.pem"}):
        with place_in(tmp_path / str(len(str(changed))), **(pair | changed)) as place:
            assert findings(place)["smtp-tls"].state == "bad"


def test_port_25_without_a_certificate_is_found(place: Place) -> None:
    for listen, named in (("0.0.0.0:25", True), ("[::]:25", True), ("127.0.0.1:2525", False), ("off", False)):
        object.__setattr__(place.ports.settings, "smtp_listen", listen)
        found = findings(place)
        assert ("smtp-tls" in found) == named
        if named:
            assert found["smtp-tls"].state == "warning"
            assert "LOKOLE_SMTP_TLS_CERTIFICATE" in found["smtp-tls"].advice


def test_a_web_server_that_does_not_answer_is_found(tmp_path: Path) -> None:
    with place_in(tmp_path, address=Url(f"https://127.0.0.1:{free_port()}")) as place:
        assert "cannot be reached" in findings(place)["web-tls"].sentence


def test_keys_that_may_not_what_they_need_are_found(tmp_path: Path) -> None:
    with FakeCloudflare("lokole.test") as cloudflare, FakeSendGridParse("lokole.test") as sendgrid, out() as way_out:
        settings: dict[str, Any] = {
            "dns": Url("cloudflare:"), "cloudflare_url": Url(cloudflare.url), "cloudflare_token": TOKEN,
            "intake": Url("sendgrid:"), "sendgrid_url": Url(sendgrid.url), "sendgrid_key": KEY,
            "address": Url("http://127.0.0.1"),
        }  # fmt: skip
        names = ("dns-provider", "mail-in", "mail-out")
        leaving = SendGridMailOut(OUT_KEY, base_url=way_out.url)
        with place_in(tmp_path, mail_out_port=leaving, **settings) as place:
            found = findings(place)
            assert [found[name].state for name in names] == ["good", "good", "good"]
            assert found["mail-out"].sentence == "the key has the permission Mail Send"
            sendgrid.scopes.pop()
            cloudflare.token_status = "expired"
            way_out.scopes.remove("mail.send")
            found = findings(place)
            assert [found[name].state for name in names] == ["bad", "bad", "bad"]
            assert found["mail-out"].sentence == "the key has not the permission Mail Send"
            assert TOKEN not in "".join(one.line for one in found.values())


def test_a_key_that_sendgrid_does_not_know_and_one_that_is_away_are_told_apart(tmp_path: Path) -> None:
    with out() as way_out:
        found = {}
        for name, key, url in (
            ("unknown", "SG.another", way_out.url),
            ("away", OUT_KEY, f"http://127.0.0.1:{free_port()}"),
        ):
            with place_in(tmp_path / name, mail_out_port=SendGridMailOut(key, base_url=url)) as place:
                found[name] = findings(place)["mail-out"]
    assert "make a new one" in found["unknown"].sentence
    assert "out of reach" in found["away"].sentence
    assert [one.state for one in found.values()] == ["bad", "bad"]


def test_a_broker_that_is_away_is_found(place: Place) -> None:
    assert "broker" not in findings(place)
    away = replace(place.ports.settings, jobs=Url(f"amqp://guest@127.0.0.1:{free_port()}/"), jobs_password="guest")
    (found,) = (one for one in examine(replace(place.ports, settings=away)) if one.name == "broker")
    assert (found.state, found.sentence.startswith("the broker was not reached")) == ("bad", True)
    assert "LOKOLE_JOBS" in found.advice


# --- the command ---------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **further: str) -> tuple[int, str]:
    settings = {
        "LOKOLE_REGISTRATION_USERNAME": "operator",
        "LOKOLE_REGISTRATION_PASSWORD": "long enough",
        "LOKOLE_MAIL_OUT": "recorder:",
        "LOKOLE_DATA": str(folder),
    }
    done = CliRunner().invoke(main, ["doctor", *arguments], env=settings | further, catch_exceptions=False)
    return done.exit_code, done.output


def test_the_command_ends_with_what_it_found(tmp_path: Path) -> None:
    code, said = run(tmp_path / "nothing")
    assert (code, said.startswith("BAD     data:")) == (1, True)
    assert not (tmp_path / "nothing").exists()
    code, said = run(tmp_path)
    assert (code, "lokole migrate server" in said) == (1, True)
    assert list(tmp_path.iterdir()) == [], "whoever looks leaves nothing behind that the server could not write"
    with place_in(tmp_path):
        pass
    code, said = run(tmp_path)
    assert code == 0, said
    assert "ok      database:" in said
    with Database(f"sqlite:///{tmp_path / 'lokole.db'}").write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    code, said = run(tmp_path)
    assert (code, "warning database: a newer release has been here: it is at step 9999" in said) == (0, True)
    code, said = run(tmp_path, "--json")
    assert json.loads(said)["good"] is True
    assert {one["name"] for one in json.loads(said)["checks"]} >= {"database", "blobs", "queue", "disk", "boxes"}
    code, said = run(tmp_path, LOKOLE_DNS="nobody:")
    assert code == 2
    assert "LOKOLE_DNS" in said
