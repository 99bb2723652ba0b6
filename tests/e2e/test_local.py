"""``lokole local`` as a newcomer meets it: sign up, write, sync, see it in the world, answer, sync, read."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.person_at import File, PersonAt, Seen

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PASSWORD = "goats eat everything"
NEW_PASSWORD = "fences grow in the rain"
PORTS = ("device", "server", "smtp", "world", "status")


@dataclass
class Local:
    """A running ``lokole local``: what it printed, what stands in its folder."""

    process: subprocess.Popen[str]
    printed: list[str]
    folder: Path

    @property
    def told(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "local.json").read_text())
        return value

    def address(self, name: str) -> str:
        (line,) = [line for line in self.printed if line.startswith(f"{name}: ")]
        return line.partition(": ")[2]

    def world_letters(self) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = json.loads(PersonAt(self.told["world"]).open("/letters.json").content)
        return value

    def box_status(self) -> dict[str, Any]:
        boxes = json.loads(PersonAt(self.told["status"]).open("/status.json").content)["boxes"]
        (box,) = [box for box in boxes if box["domain"] == self.told["domain"]]
        return dict(box)


def start(folder: Path, *options: str, ports: dict[str, int] | None = None) -> Local:
    chosen = [f"--{name}-port={(ports or {}).get(name, 0)}" for name in PORTS]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOKOLE_", "OPWEN_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "lokole", "local", "--data", str(folder), *chosen, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    printed: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        printed.append(line.rstrip("\n"))
        if printed[-1] == "ready":
            return Local(process, printed, folder)
    assert process.stderr is not None
    raise AssertionError(f"it ended with {process.wait()}: {process.stderr.read()}")


def stop(local: Local, number: int = signal.SIGINT) -> tuple[int, float, str]:
    """Ctrl-C; returns exit code, seconds it took, and what it said on standard error."""
    began = time.monotonic()
    if local.process.poll() is None:
        local.process.send_signal(number)
    _, said = local.process.communicate(timeout=20)
    return local.process.returncode, time.monotonic() - began, said


def wait_for(is_so: Callable[[], Any], *, seconds: float = 30) -> Any:
    """The first true answer of ``is_so``."""
    deadline = time.monotonic() + seconds
    while not (answer := is_so()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return answer


def shown(person: PersonAt, path: str, words: str) -> Seen:
    """The page once it says ``words``."""
    found: list[Seen] = []

    def says() -> bool:
        found.append(person.open(path))
        return words in found[-1].text

    wait_for(says)
    return found[-1]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    running = start(tmp_path_factory.mktemp("local") / "data", "--demo")
    yield running
    code, seconds, said = stop(running)
    assert (code, said) == (0, "")
    assert seconds < 5


@pytest.fixture(scope="module")
def admin(local: Local) -> PersonAt:
    """Amina of the demo, after she chose a password of her own."""
    (password,) = re.findall(r"as amina with the one-time password (\S+),", "\n".join(local.printed))
    amina = PersonAt(local.told["device"])
    page = amina.open("/user/login").fill(name="amina", password=password).press()
    assert page.path == "/user/password/change"
    page = page.fill(new=PASSWORD, again=PASSWORD).press()
    assert page.status == 200
    return amina


def sync(local: Local, admin: PersonAt) -> None:
    """Press "sync now" and wait until the box has been there."""

    def meetings() -> int:
        page = admin.open("/admin")
        return page.content.count(b"<tr")

    before, visited = meetings(), local.box_status()["last_visit"]
    page = admin.open("/admin").form("/admin/sync").press()
    assert page.path == "/admin"
    wait_for(lambda: local.box_status()["last_visit"] != visited or meetings() > before)
    time.sleep(0.5)


def sign_up(local: Local, name: str) -> PersonAt:
    person = PersonAt(local.told["device"])
    page = person.open("/").follow("Get an address").fill(name=name, password=PASSWORD).press()
    assert page.path == "/email/inbox", page.text
    return person


def write(person: PersonAt, to: str, subject: str, text: str, *files: File) -> Seen:
    form = person.open("/email/new").fill(to=to, subject=subject, body=text).attach(*files)
    return form.press("send")


def photo(side: int = 2000) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side * 3 // 4), 60).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def test_a_letter_goes_round(local: Local, admin: PersonAt) -> None:
    ann = sign_up(local, "ann")
    page = write(
        ann,
        "bob@example.org",
        "Greetings from the village",
        "Hello Bob,\n\nhow are you?",
        File("goat.jpg", photo(), "image/jpeg"),
    )
    assert page.path == "/email/outbox", page.text
    assert "Greetings from the village" in page.text

    sync(local, admin)
    (letter,) = wait_for(
        lambda: [one for one in local.world_letters() if one["subject"] == "Greetings from the village"]
    )
    assert letter["envelope_to"] == ["bob@example.org"]
    assert letter["from"] == f"ann@{local.told['domain']}"
    assert "how are you?" in letter["text"]
    (attached,) = letter["attachments"]
    assert attached["filename"].startswith("goat.")
    assert attached["size"] < len(photo()) / 4, "a photo is made smaller before it travels"
    assert letter["subject"] in ann.open("/email/sent").text

    world = PersonAt(local.told["world"])
    page = world.open(f"/letters/{letter['no']}").follow("Answer")
    page = page.fill(text="Dear Ann,\n\nall is well here.").attach(File("map.txt", b"go north")).press()
    assert "Sent to" in page.text, page.text

    sync(local, admin)
    # the receipt of a quick relay comes home with the same visit, that of any other with the next one
    wait_for(lambda: letter["subject"] not in ann.open("/email/outbox").text)
    page = shown(ann, "/email/inbox", "Re: Greetings")
    page = page.choose("Re: Greetings")
    assert "bob@example.org" in page.text
    body = ann.open(page.path + "/body")
    assert "all is well here." in body.text
    file = ann.open(page.link_to(r"/attachment/\d+/\d+"))
    assert file.content == b"go north"


def test_a_recipient_who_does_not_exist_stands_on_the_writers_outbox(local: Local, admin: PersonAt) -> None:
    ben = sign_up(local, "ben")
    write(ben, "permanent-failure@example.org", "Are you there?", "Hello")

    def told() -> bool:
        """The receipt comes with this meeting, or with the next when the world took its time to refuse."""
        sync(local, admin)
        return "The letter did not arrive." in ben.open("/email/outbox").text

    wait_for(told)
    assert not [one for one in local.world_letters() if one["subject"] == "Are you there?"]


def test_a_recipient_who_is_busy_is_tried_again_and_one_who_is_silent_too(local: Local, admin: PersonAt) -> None:
    cleo = sign_up(local, "cleo")
    write(cleo, "temporary-failure@example.org, timeout@example.org, dave@example.org", "To three", "Hello")
    sync(local, admin)
    letters = wait_for(lambda: [one for one in local.world_letters() if one["subject"] == "To three"])
    assert [one["envelope_to"] for one in letters] == [["dave@example.org"]], "the others do not hold him up"


def test_who_travels_reads_and_writes_in_town_as_at_home(local: Local, admin: PersonAt) -> None:
    gina, hugo, domain = sign_up(local, "gina"), sign_up(local, "hugo"), local.told["domain"]
    gina.open("/user/profile").form("/user/roaming").press("on")
    for subject, text in (("The goat", "It has eaten the fence."), ("The fence", "It was of wood.")):
        write(hugo, f"gina@{domain}", subject, text)
    sync(local, admin)
    town = PersonAt(f"{local.told['server']}web")

    def known() -> bool:
        return (
            town.open("/web/user/login").fill(name=f"gina@{domain}", password=PASSWORD).press().path
            == "/web/email/inbox"
        )

    wait_for(known)
    page = shown(town, "/web/email/inbox", "The goat").choose("The goat")
    # an answer to a neighbour, and a letter into the world with a file
    page = page.follow("Answer").fill(body="Then eat the goat.").press("send")
    assert page.status == 200, page.text
    form = town.open("/web/email/new").fill(
        to=f"carl@example.org, hugo@{domain}", subject="Written in town", body="Hello from town"
    )
    assert "Written in town" in form.attach(File("map.txt", b"go north")).press("send").text
    letter = wait_for(lambda: [one for one in local.world_letters() if one["subject"] == "Written in town"])[0]
    assert (letter["from"], letter["envelope_to"]) == (f"gina@{domain}", ["carl@example.org"])
    assert [one["filename"] for one in letter["attachments"]] == ["map.txt"]
    assert "Written in town" in shown(town, "/web/email/sent", "Written in town").text
    # people and news are there too; signing up is for the box
    assert [town.open(f"/web/{path}").status for path in ("users", "board", "user/register")] == [200, 200, 404]
    # what was read is found, and is to be read again at home; what is not needed goes; a new password
    found = town.open("/web/email/search").fill(**{"query": "eaten", "in": "inbox"}).press()
    assert ("The goat" in found.text, "The fence" in found.text) == (True, False)
    assert "Unread. " not in found.text
    found.follow("The goat").choose("Mark as unread")
    question = town.open("/web/email/inbox").choose("The fence").follow("Delete")
    assert "The fence" not in question.choose("Delete").text
    page = town.open("/web/user/password/change").fill(old=PASSWORD, new=NEW_PASSWORD, again=NEW_PASSWORD).press()
    assert page.status == 200, page.text

    sync(local, admin)
    for subject in ("Written in town", "Re: The goat"):
        assert shown(hugo, "/email/inbox", subject).text.count(subject) == 1
        assert shown(gina, "/email/sent", subject).text.count(subject) == 1
    assert "Written in town" not in gina.open("/email/outbox").text, "the world has it"
    at_home = PersonAt(local.told["device"])
    at_the_door = at_home.open("/user/login").fill(name="gina", password=PASSWORD).press()
    assert at_the_door.path == "/user/login", "the old password opens nothing"
    inbox = at_home.open("/user/login").fill(name="gina", password=NEW_PASSWORD).press()
    assert inbox.path == "/email/inbox", inbox.text
    assert "The fence" not in inbox.text
    assert "The fence" in at_home.open("/email/deleted").text
    assert "The goat" in at_home.open("/email/search?query=eaten&unread=1").text
    # and nothing of it goes a second time
    sync(local, admin)
    assert len([one for one in local.world_letters() if one["subject"] == "Written in town"]) == 1
    assert hugo.open("/email/inbox").text.count("Written in town") == 1


def test_letters_within_the_box_need_no_internet(local: Local) -> None:
    eve = sign_up(local, "eve")
    page = write(eve, f"eve@{local.told['domain']}", "A note to myself", "Do not forget the goat")
    assert "A note to myself" in eve.open("/email/inbox").text
    assert page.path != "/email/outbox"


def test_the_demo_has_a_letter_here_and_one_that_waits(local: Local, admin: PersonAt) -> None:
    assert "The road to the coast" in admin.open("/email/inbox").text
    sync(local, admin)
    wait_for(lambda: "A letter that waits" in admin.open("/email/inbox").text)


def test_each_address_says_what_it_is_and_links_the_others(local: Local) -> None:
    names = ("The box", "The server", "The outside world", "Boxes and pings")
    addresses = {name: local.address(name) for name in names}
    for name, address in addresses.items():
        # the status page is drawn by a script, which reads its links there
        page = PersonAt(address).open("/config.json" if name == "Boxes and pings" else "/")
        assert page.status == 200
        for other, link in addresses.items():
            if other != name:
                assert link in page.content.decode(), f"{name} does not link {other}"


def test_the_pings_and_the_box_stand_at_the_status_address(local: Local) -> None:
    page = PersonAt(local.told["status"]).open("/")
    assert "Lokole boxes" in page.content.decode()
    assert local.told["domain"] in PersonAt(local.told["status"]).open("/summary").text
    pings = json.loads(PersonAt(local.told["status"]).open("/status.json").content)["pings"]
    assert all(0 < pings[name] < 5000 for name in ("The box", "The server"))


def test_cookies_of_box_and_server_have_different_names(local: Local) -> None:
    """All addresses are one host to a browser, which keeps cookies by host and not by port."""
    box, server = PersonAt(local.told["device"]), PersonAt(local.told["server"])
    box.open("/user/login")
    server.open("/web/user/login")
    assert box.cookies
    assert server.cookies
    assert not set(box.cookies) & set(server.cookies)


def test_further_domains_can_be_registered_with_the_printed_pair(local: Local) -> None:
    import base64
    import urllib.request

    (pair,) = [line.rpartition(": ")[2] for line in local.printed if line.startswith("Registration of further domains")]
    assert pair == (local.folder / "registration").read_text().strip()
    request = urllib.request.Request(
        f"{local.told['server']}api/email/register/", json.dumps({"domain": "second.lokole.test"}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 201


def test_secrets_are_readable_by_their_owner_only(local: Local) -> None:
    for name in ("registration", "local.json", "demo"):
        assert stat.S_IMODE((local.folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(local.folder.stat().st_mode) == 0o700


def test_the_world_shows_markup_as_text(local: Local, admin: PersonAt) -> None:
    world = PersonAt(local.told["world"])
    page = world.open("/write").fill(**{"from": "x@example.org", "to": "not an address"}).press()
    assert page.status == 422
    assert "It was not sent" in page.text
    write(admin, "frank@example.org", "<script>alert(1)</script>", "x")
    sync(local, admin)
    wait_for(lambda: [one for one in local.world_letters() if "alert" in one["subject"]])
    assert b"<script>" not in world.open("/").content


def test_a_form_from_another_site_is_refused(local: Local) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(f"{local.told['world']}write", b"from=a", {"Origin": "http://evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert caught.value.code == 403
    caught.value.close()


def test_the_sample_workflows_do_what_they_say_here(local: Local) -> None:
    """``make integration-tests``, which nobody would miss before a newcomer does."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integration", "-m", "integration"],
        cwd=ROOT, env=os.environ | {"DATA": str(local.folder.parent)}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout[-500:]


def test_the_folder_serves_again_and_a_second_user_of_it_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = start(folder, "--registration", "operator:short")
    told = first.told
    sign_up(first, "ann")
    second = subprocess.run(
        [sys.executable, "-m", "lokole", "local", "--data", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr.count("\n") == 1
    assert "Another `lokole local` uses" in second.stderr
    for option, taken in (
        ("--device-port", told["device"].rstrip("/").rpartition(":")[2]),
        ("--smtp-port", str(told["smtp_port"])),
    ):
        other = subprocess.run(
            [sys.executable, "-m", "lokole", "local", "--data", str(tmp_path / "other"), "--device-port", "0", "--server-port", "0",
             "--smtp-port", "0", "--world-port", "0", "--status-port", "0", option, taken],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (other.returncode, other.stderr) == (1, f"Port {taken} is taken; choose another with {option}.\n")
    assert stop(first, signal.SIGTERM)[0] == 0

    again = start(folder)
    assert again.told["registration"] == told["registration"]
    assert again.told["domain"] == told["domain"]
    ann = PersonAt(again.told["device"])
    assert ann.open("/user/login").fill(name="ann", password=PASSWORD).press().path == "/email/inbox"
    assert stop(again)[0] == 0
