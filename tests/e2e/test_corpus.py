"""Every message of the large sets, through real processes, into a box's mailbox: each exactly once, or in quarantine.

Messages go in by webhook and by SMTP, side by side; the box visits while they still come, so that they travel in several packages;
some are sent twice. Nothing is looked at before all of it has settled.
Without the shared data it runs on our own sample, and says so.
"""

from __future__ import annotations

import hashlib
import smtplib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.corpus import (
    SHARED_MAIL_MESSAGES,
    Message,
    own_messages,
    shared_folder,
    shared_mail,
    shared_mime,
    without_repeats,
)
from tests.e2e.processes import Device, Line, Server, Visitor, device, process, server, webhook_form
from tests.second_reading import Reading, agreement, one_line, second_reading, words, words_of_markup

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"
PEOPLE = ("amina", "baraka", "chantal", "daudi")
POSTERS = 4
#: how many messages go in a second time
REPEATS = 60


@dataclass
class Journey:
    """What was sent, and where it ended."""

    sent: dict[str, tuple[str, Message]] = field(default_factory=dict)  # digest -> (person, message)
    refused: list[tuple[str, str]] = field(default_factory=list)
    syncs: list[dict[str, object]] = field(default_factory=list)
    arrived: dict[str, list[Letter]] = field(default_factory=dict)  # digest -> letters in the box
    quarantined: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # digest -> (where, reason)
    unexplained: list[str] = field(default_factory=list)
    logs: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Letter:
    """A letter as one person of the box has it."""

    person: str
    subject: str
    sender: str
    to: frozenset[str]
    cc: frozenset[str]
    body: str
    files: tuple[tuple[str, str], ...]  # (type, sha256)


def corpus() -> list[Message]:
    """All messages this machine has: the shared sets, or our own sample."""
    folder = shared_folder()
    if folder is None:
        print("No shared test data here: this runs on our own messages only.")
        return own_messages()
    return shared_mail(folder) + shared_mime(folder) + own_messages()


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """All messages sent, all visits made, everything settled."""
    folder = tmp_path_factory.mktemp("corpus")
    made = Journey()
    started = time.monotonic()
    with ExitStack() as stack:
        centre = stack.enter_context(server(folder / "server", settings={"LOKOLE_WORKERS": "0"}))
        box = device(folder / "box")
        stack.enter_context(process("worker", settings=centre.settings, log=folder / "worker.log"))
        details = centre.register(DOMAIN)
        hook = f"/api/email/sendgrid/{details['webhook']}"
        box.register(centre.url, details["code"])
        with box.pages():
            _sign_up(box)
        made.syncs.append(box.sync())
        centre.wait_for_people(DOMAIN, len(PEOPLE))

        everything = without_repeats(corpus())
        half = len(everything) // 2
        _send(centre, hook, everything[:half], made)
        centre.wait_for_letters(DOMAIN)
        made.syncs.append(box.sync())
        _send(centre, hook, everything[half:], made)
        _send(centre, hook, everything[:: max(1, len(everything) // REPEATS)], made)
        _until_nothing_moves(centre, box, made)
    made.logs = "".join(path.read_text(errors="replace") for path in folder.rglob("*.log"))
    _collect(centre, box, made)
    made.seconds = time.monotonic() - started
    print(f"{len(made.sent)} messages in {made.seconds:.0f} s, {len(made.syncs)} visits")
    yield made


def _person_for(message: Message) -> str:
    return PEOPLE[int(message.digest[:4], 16) % len(PEOPLE)]


def _goes_by_webhook(message: Message) -> bool:
    return int(message.digest[4:6], 16) % 2 == 0


def _sign_up(box: Device) -> None:
    for name in PEOPLE:
        with closing(Visitor(box.port)) as visitor:
            answer = visitor.post("/user/register", {"name": name, "password": f"{name} likes mangoes"})
        assert answer.status in (302, 303), answer.body


def _send(centre: Server, hook: str, messages: list[Message], made: Journey) -> None:
    """Post ``messages`` from several senders at once."""
    shares = [messages[n::POSTERS] for n in range(POSTERS)]
    with ThreadPoolExecutor(POSTERS) as pool:
        for refused in pool.map(lambda share: _send_share(centre, hook, share), shares):
            made.refused += refused
    made.sent.update({message.digest: (_person_for(message), message) for message in messages})


def _send_share(centre: Server, hook: str, messages: list[Message]) -> list[tuple[str, str]]:
    refused: list[tuple[str, str]] = []
    line = Line(centre.http_port)
    with closing(line), smtplib.SMTP("127.0.0.1", centre.smtp_port, timeout=60) as smtp:
        for message in messages:
            address = f"{_person_for(message)}@{DOMAIN}"
            if _goes_by_webhook(message):
                body, content_type = webhook_form(message.raw, [address])
                answer = line("POST", hook, body, {"Content-Type": content_type})
                if answer.status != 200:
                    refused.append((message.name, f"{answer.status} {answer.body[:200]!r}"))
                continue
            try:
                smtp.sendmail("sender@example.org", [address], message.raw, ["BODY=8BITMIME"])
            except smtplib.SMTPException as error:
                refused.append((message.name, repr(error)))
    return refused


def _until_nothing_moves(centre: Server, box: Device, made: Journey, *, seconds: float = 150) -> None:
    """Visit again and again until no work is left and nothing waits."""
    deadline = time.monotonic() + seconds
    while True:
        idle = _open_jobs(centre) == 0
        if idle or time.monotonic() > deadline:
            made.syncs.append(box.sync())
            if idle and centre.pending(DOMAIN) == 0:
                return
        assert time.monotonic() < deadline, "the letters did not settle in time"
        time.sleep(0.25)


def _open_jobs(centre: Server) -> int:
    with closing(_opened(Path(centre.settings["LOKOLE_DATA"]) / "lokole.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM job WHERE state = 'ready'").fetchone()
    return int(count)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _collect(centre: Server, box: Device, made: Journey) -> None:
    """Find out where everything ended, from both databases and the stores of raw letters."""
    known_raw = {}
    with closing(_opened(Path(centre.settings["LOKOLE_DATA"]) / "lokole.db")) as database:
        for id_, raw_ref in database.execute("SELECT id, raw_ref FROM email WHERE raw_ref IS NOT NULL"):
            known_raw[bytes(id_)] = _digest(Path(centre.settings["LOKOLE_DATA"]), raw_ref)
        _collect_quarantine(database, Path(centre.settings["LOKOLE_DATA"]), made, where="server")
    with closing(_opened(Path(box.settings["LOKOLE_DATA"]) / "lokole.db")) as database:
        _collect_quarantine(database, Path(box.settings["LOKOLE_DATA"]), made, where="box")
        for id_, person, letter in _letters(database):
            digest = known_raw.get(id_)
            if digest is not None:
                made.arrived.setdefault(digest, []).append(letter)
            elif letter.sender and "welcome" not in letter.subject.lower():
                made.unexplained.append(f"{person}: a letter that nobody sent")


def _digest(data: Path, raw_ref: str) -> str:
    return hashlib.sha256((data / "blobs" / raw_ref).read_bytes()).hexdigest()


def _collect_quarantine(database: sqlite3.Connection, data: Path, made: Journey, *, where: str) -> None:
    for kind, reason, raw_ref in database.execute("SELECT kind, reason, raw_ref FROM quarantine"):
        if raw_ref is None:
            made.unexplained.append(f"{where}: {kind} in quarantine without its bytes")
            continue
        made.quarantined.setdefault(_digest(data, raw_ref), []).append((where, reason))


def _letters(database: sqlite3.Connection) -> Iterator[tuple[bytes, str, Letter]]:
    addresses: dict[tuple[int, str], set[str]] = {}
    for no, role, address in database.execute("SELECT email, role, address FROM address"):
        addresses.setdefault((no, role), set()).add(address.casefold())
    files: dict[int, list[tuple[str, str]]] = {}
    for no, type_, sha256 in database.execute("SELECT email, type, sha256 FROM attachment"):
        files.setdefault(no, []).append((type_, sha256))
    rows = database.execute(
        "SELECT email.id, account.name, email.order_no, email.subject, email.sender_address, email.body "
        "FROM entry JOIN account ON account.no = entry.account JOIN email ON email.order_no = entry.email "
        "WHERE entry.folder = 'inbox'"
    )
    for id_, person, no, subject, sender, body in rows:
        yield (
            bytes(id_),
            person,
            Letter(
                person,
                subject,
                sender.casefold(),
                frozenset(addresses.get((no, "to"), ())),
                frozenset(addresses.get((no, "cc"), ())),
                body,
                tuple(sorted(files.get(no, ()))),
            ),
        )


# What has to hold


def test_the_large_sets_are_all_there() -> None:
    folder = shared_folder()
    if folder is None:
        pytest.skip("The shared test data is not here; the other tests of this file ran on our own messages.")
    assert len(shared_mail(folder)) == SHARED_MAIL_MESSAGES
    assert len(shared_mime(folder)) > 400


def test_every_message_was_taken(journey: Journey) -> None:
    assert journey.sent
    assert journey.refused == []


def test_each_message_arrives_exactly_once_or_is_in_quarantine_with_its_bytes(journey: Journey) -> None:
    wrong = []
    for digest, (person, message) in journey.sent.items():
        arrived = [letter.person for letter in journey.arrived.get(digest, [])]
        kept_apart = journey.quarantined.get(digest, [])
        if (arrived, len(kept_apart)) not in (([person], 0), ([], 1)):
            wrong.append((message.name, arrived, kept_apart))
    assert wrong == []
    assert journey.unexplained == []


def test_what_is_in_quarantine_says_why(journey: Journey) -> None:
    assert all(reason for found in journey.quarantined.values() for _where, reason in found)
    # real mail is never so bad that nobody can show it
    assert len(journey.quarantined) <= len(journey.sent) / 100


def test_the_letters_travelled_in_several_packages(journey: Journey) -> None:
    assert all(report["result"] == "ok" for report in journey.syncs)
    assert sum(bool(report["letters_down"]) for report in journey.syncs) >= 2
    assert journey.syncs[-1]["waiting"] == 0


def test_nothing_raised(journey: Journey) -> None:
    assert "Traceback" not in journey.logs
    assert "Error" not in journey.logs


def test_nothing_of_a_letter_is_in_the_logs(journey: Journey) -> None:
    for _person, message in list(journey.sent.values())[::20]:
        reading = second_reading(message.raw)
        if reading is not None and len(reading.subject) > 12:
            assert reading.subject not in journey.logs
            assert reading.sender not in journey.logs


def _compared(journey: Journey) -> Iterator[tuple[str, Reading, Letter]]:
    """Messages that the second parser read without repairs, beside what the box has."""
    for digest, (_person, message) in journey.sent.items():
        reading = second_reading(message.raw)
        if reading is not None and digest in journey.arrived:
            yield message.name, reading, journey.arrived[digest][0]


def test_subject_and_addresses_are_what_a_second_parser_reads(journey: Journey) -> None:
    differing = {
        name: (theirs, ours)
        for name, reading, letter in _compared(journey)
        for theirs, ours in (
            (reading.subject, one_line(letter.subject)),
            (reading.sender, letter.sender),
            (reading.to, letter.to),
            (reading.cc, letter.cc),
        )
        if theirs != ours and name not in OTHER_HEADERS
    }
    assert differing == {}


def test_the_text_is_what_a_second_parser_reads(journey: Journey) -> None:
    alike = {
        name: agreement(reading.text, words(words_of_markup(letter.body)))
        for name, reading, letter in _compared(journey)
        if name not in OTHER_TEXT
    }
    assert {name: value for name, value in alike.items() if value < 0.85} == {}
    assert sum(value < 0.98 for value in alike.values()) <= len(alike) / 200


def test_attachments_are_what_a_second_parser_reads(journey: Journey) -> None:
    differing = {}
    for name, reading, letter in _compared(journey):
        files = tuple(sorted(sha256 for type_, sha256 in letter.files if not type_.startswith("image/")))
        if (files, len(letter.files) - len(files)) != (reading.files, reading.pictures) and name not in OTHER_FILES:
            differing[name] = (Counter(type_ for type_, _ in letter.files), len(reading.files), reading.pictures)
    assert differing == {}


# Where ours is read otherwise on purpose; the names are those of the files.

#: the header is there twice, or holds a control character or bytes without a charset
OTHER_HEADERS = {
    "mime/cpython-test-email/msg_20.txt": "three Cc headers are one list",
    "mime/cpython-test-email/msg_25.txt": "two To headers are one list",
    "mime/flanker/broken-headers.eml": "a byte of Windows-1252 is an ellipsis",
    "mime/flanker/long-header.eml": "a subject without end is cut",
}
OTHER_TEXT = {
    "mail/modern-html-phishing-pot/pp-5243.eml": "it names no charset but is UTF-8",
    "mail/modern-html-phishing-pot/pp-6639.eml": "hundreds of tags within each other: shown as plain text",
    "mail/sa-easy-ham-1/eh1-01220.eml": "a patch beside the text is a file",
    "mime/cpython-test-email/msg_04.txt": "a text with a filename is a file",
    "mime/cpython-test-email/msg_10.txt": "parts in every encoding follow each other",
    "mime/cpython-test-email/msg_14.txt": "text of a type nobody knows",
    "mime/cpython-test-email/msg_17.txt": "only a note of where the text is",
    "mime/cpython-test-email/msg_25.txt": "multipart without a boundary",
    "mime/cpython-test-email/msg_31.txt": "multipart without a boundary",
    "mime/cpython-test-email/msg_33.txt": "multipart without parts",
    "mime/cpython-test-email/msg_41.txt": "a Content-Type that is none",
    "mime/cpython-test-email/msg_44.txt": "a text with a filename is a file",
    "mime/enmime/testdata/low-quality/empty-header.raw": "plain and markup of the same words",
    "mime/enmime/testdata/low-quality/incorrect-charset.raw": "UTF-8 that calls itself something else",
    "mime/enmime/testdata/low-quality/missing-content-type2.raw": "plain and markup of the same words",
    "mime/enmime/testdata/mail/mime-alternative.raw": "two texts of which one is chosen",
    "mime/enmime/testdata/mail/multipart-wo-boundary.raw": "multipart without a boundary",
    "mime/flanker/mailformed-headers.eml": "a header that ends early",
    "mime/flanker/quoted-printable.eml": "two plain texts of which the last is chosen",
    "mime/mikel-mail/error_emails/cant_parse_from.eml": "parts of the same text",
    "mime/mime4j-mimetools/mimetools-testmsgs/badbound.msg": "multipart with the wrong boundary",
    "mime/mime4j-mimetools/mimetools-testmsgs/lennie.msg": "a page beside the text is a file",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-badnames.msg": "texts with a filename are files",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-igor.msg": "texts with a filename are files",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-nested.msg": "rich text is shown",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-nested3.msg": "rich text is shown",
    "mime/mime4j-testmsgs/testmsgs/multipartemptypart.msg": "multipart with an empty part",
    "mime/mime4j-testmsgs/testmsgs/multipartnopart.msg": "multipart without parts",
    "mime/spamscope/mail_malformed_1.eml": "parts after the end",
    "mime/spamscope/mail_malformed_3.eml": "zero bytes among the headers",
    "mime/spamscope/mail_test_12.eml": "a charset that is not the one it names",
    "mime/spamscope/mail_test_14.eml": "a text that is there twice",
}
OTHER_FILES = {
    "mail/modern-html-phishing-pot/pp-7013.eml": "a picture written into the markup becomes a file",
    "mime/flanker/broken-ctype.eml": "a picture is one whatever its type says",
    "mail/sa-easy-ham-1/eh1-00062.eml": "an alternative form of the text is no file",
    "mail/sa-easy-ham-1/eh1-01040.eml": "a patch beside the text is a file",
    "mail/sa-easy-ham-1/eh1-01220.eml": "a patch beside the text is a file",
    "mime/cpython-test-email/msg_04.txt": "a text with a filename is a file",
    "mime/cpython-test-email/msg_14.txt": "text of a type nobody knows is shown",
    "mime/cpython-test-email/msg_44.txt": "a text with a filename is a file",
    "mime/enmime/testdata/low-quality/bad-header-wrap.raw": "base64 that is none stays as it is",
    "mime/mime4j-mimetools/mimetools-testmsgs/jt-0498.msg": "a letter within the letter keeps its line ends",
    "mime/mime4j-mimetools/mimetools-testmsgs/lennie.msg": "a page beside the text is a file",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-badnames.msg": "texts with a filename are files",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-igor.msg": "texts with a filename are files",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-nested.msg": "rich text is shown",
    "mime/mime4j-mimetools/mimetools-testmsgs/multi-nested3.msg": "rich text is shown",
    "mime/nodemailer-mailparser/nodemailer.eml": "an alternative form of the text is no file",
    "mime/spamscope/mail_test_15.eml": "uuencode is undone",
    "mime/spamscope/mail_test_3.eml": "a text with a filename is a file",
}
