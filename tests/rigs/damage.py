"""Property P7: one bad letter among twenty costs no neighbour, is kept with its bytes, and somebody is told why.

A trial is one package of twenty good letters with some damaged ones between them, by the name of the trial:

- ``up``: a sealed package of the box, read by the server;
- ``first``: a package of lines as the first Lokole writes it, read by the server;
- ``down``: a sealed package of the server, read by the box;
- ``mail``: messages of the world, with headers, parts and encodings that are damaged, read by the server and then by the box.

A damaged letter has one to three of its bytes changed, pieces cut out, doubled or moved, or fields with values that nothing of ours writes.
Whatever it has become, it must be there as a letter or stand in quarantine with exactly its bytes; one that is no JSON object cannot be a letter.
A reason that only names an error of the program counts as an error that nobody has thought of: the trial is bad.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lokole.device.taking import take_package
from lokole.mail.model import Attachment, Contact, Email, PackageRef
from lokole.mailbox import tenants
from lokole.ports.sync_peer import Offered
from lokole.server import exchange
from lokole.server.intake import accept
from lokole.server.keys import server_public, server_seed
from lokole.sync import jsontext, version1
from lokole.sync.bodies import letter_fields
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind, seal
from lokole.sync.frames import write_frame
from lokole.sync.package import Compression
from lokole.sync.payload2 import Kind
from lokole.sync.records import EmailRecord
from lokole.sync.signing import public_key
from tests.corpus import own_messages, shared_folder, shared_mail, shared_mime
from tests.property.test_package import damaged
from tests.rigs import inside
from tests.rigs.every_byte import DOMAIN, Kept, World, world
from tests.unit.sync.archives import archive

KINDS = ("up", "first", "down", "mail")
NEIGHBOURS = 20
#: damaged letters in one package
DAMAGED = 12
#: neighbours of damaged messages of the world, which come one by one
GOOD_MAIL = 2
#: of the packages here, beyond those that the box and the server have themselves
EPOCH = 1_000_000
#: values that nothing of ours writes there
ODD: tuple[object, ...] = (
    None, True, -1, 0, 10**30, 1e308, "", " ", "\0", "\ud800", "a" * 5000, "é@è.ñ", "a@b@c", "<script>", "2026-02-30 25:61",
    "9999-12-31T23:59:59Z", "-0001-01-01", [], [[]], {}, {"a": {"a": {}}}, ["a@b.c", None, 7], [{"filename": 7}], [{"content": "%%%"}],
)  # fmt: skip


@dataclass
class Verdict:
    """What came of a trial."""

    wrong: list[str]
    letters: int = 0
    apart: int = 0


class Trial:
    """One package with its damaged letters."""

    def __init__(self, made: World, kind: str, number: int, dice: random.Random, samples: list[bytes]) -> None:
        self.made, self.kind, self.number, self.dice, self._samples = made, kind, number, dice, samples

    def run(self) -> Verdict:
        """Read the package, and compare what came with what it held."""
        return {"up": self._up, "first": self._first, "down": self._down, "mail": self._mail}[self.kind]()

    # --- packages --------------------------------------------------------------------------------

    def _record(self, n: int) -> EmailRecord:
        """Letter ``n`` of this package: from the village on its way up, from the world on its way down."""
        down = self.kind == "down"
        email = Email(
            sender=Contact("bob@example.org" if down else f"ann@{DOMAIN}", "Bob" if down else "Ann"),
            to=(Contact(f"ann@{DOMAIN}" if down else f"ben@{DOMAIN}"),),
            cc=(Contact("éva@example.org", "Éva"),) if n % 9 == 0 else (),
            subject=self._subject(n),
            body=f"<p>Letter {n}: the roof is ready.</p>",
            attachments=(Attachment("seeds.txt", b"maize" * n, "text/plain"),) if n % 5 == 0 else (),
            references=("<a@example.org>",) if n % 4 == 0 else (),
        )
        uid = hashlib.sha256(f"{self.number}:{n}".encode()).hexdigest()[:32]
        return EmailRecord(uid, email)

    def _subject(self, n: int) -> str:
        return f"T{self.number} letter {n}"

    def _mixed(
        self, body: Callable[[EmailRecord], bytes]
    ) -> tuple[list[tuple[bytes, EmailRecord | None]], list[bytes]]:
        """The bodies of all letters in the order of the package, with the record of each good one; and those that are damaged."""
        whole: list[tuple[bytes, EmailRecord | None]] = []
        for n in range(NEIGHBOURS):
            record = self._record(n)
            whole.append((body(record), record))
        bad = []
        for n in range(NEIGHBOURS, NEIGHBOURS + DAMAGED):
            broken = mutated(body(self._record(n)), self.dice)
            bad.append(broken)
            whole.insert(self.dice.randrange(1, len(whole)), (broken, None))
        return whole, bad

    def _sealed(self, header: Header, seed: bytes, recipient: bytes) -> tuple[bytes, list[bytes]]:
        """A sealed package, and the bodies in it that are damaged."""

        def body(record: EmailRecord) -> bytes:
            return jsontext.write(letter_fields(record))

        whole, bad = self._mixed(body)
        frames: list[bytes] = []
        for text, record in whole:
            frames += write_frame(Kind.LETTER, text)
            for one in record.email.attachments if record is not None else ():
                frames += write_frame(Kind.FILE, one.content)
        out = io.BytesIO()
        payload = gzip.compress(b"".join(frames), 1)
        entropy = self.dice.randbytes
        seal(out, header, [payload], sender_seed=seed, recipient_public=recipient, entropy=entropy)
        return out.getvalue(), bad

    def _up(self) -> Verdict:
        made = self.made
        row = made.box.row()
        header = Header("up", DOMAIN, row.device_id, EPOCH, self.number + 1, PayloadKind.GZ)
        content, bad = self._sealed(header, made.box.seed, server_public(made.ports))
        return self._at_the_server(content, bad, CONTENT_TYPE, header.epoch)

    def _first(self) -> Verdict:
        whole, bad = self._mixed(lambda record: version1.write_email_line(record, own_box=True).replace(b"\n", b" "))
        bad = [one.replace(b"\n", b" ") for one in bad]
        text = b"\n".join(one.replace(b"\n", b" ") for one, _record in whole) + b"\n"
        content = gzip.compress(archive(("emails.jsonl", text)), 1)
        # what a line may end with is no part of it, and an empty one is none
        bad = [one.removesuffix(b"\r") for one in bad if one.strip(b"\r")]
        return self._at_the_server(content, bad, Compression.GZ.content_type, EPOCH + 1)

    def _at_the_server(self, content: bytes, bad: list[bytes], type_: str, epoch: int) -> Verdict:
        made = self.made
        with made.ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=DOMAIN)
        assert row is not None
        before = _count(made.server)
        exchange.take(
            made.ports,
            row,
            io.BytesIO(content),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            epoch=epoch,
            seq=self.number + 1,
            type=type_,
        )
        verdict = self._judge(made.server, before, bad, NEIGHBOURS)
        dead = made.server.rows("SELECT kind, error FROM job WHERE state = 'dead'")
        verdict.wrong += [f"given up: {one}" for one in dead]
        return verdict

    def _down(self) -> Verdict:
        made = self.made
        box, row = made.box, made.box.row()
        header = Header("down", DOMAIN, row.device_id, EPOCH, self.number + 1, PayloadKind.GZ)
        content, bad = self._sealed(header, server_seed(made.ports), public_key(box.seed))
        before = _count(made.box_side)
        take_package(
            Offered(
                PackageRef(hashlib.sha256(content).hexdigest()), header.epoch, header.seq, len(content), CONTENT_TYPE
            ),
            lambda: iter([content]),
            database=box.ports.database,
            blobs=box.ports.blobs,
            clock=box.ports.clock,
            tenant=row,
            entropy=box.ports.entropy,
            seed=box.seed,
        )
        return self._judge(made.box_side, before, bad, NEIGHBOURS)

    # --- messages of the world -------------------------------------------------------------------

    def _mail(self) -> Verdict:
        made, dice = self.made, self.dice
        before = _count(made.server)
        at_box = _count(made.box_side)
        messages = []
        for n in range(GOOD_MAIL):
            head = f"From: Bob <bob@example.org>\r\nTo: ann@{DOMAIN}\r\nSubject: {self._subject(n)}\r\n"
            messages.append(f"{head}Message-ID: <{self.number}.{n}@example.org>\r\n\r\nhello\r\n".encode())
        bad = [damaged(dice.choice(self._samples), dice) for _ in range(DAMAGED)]
        for one in bad:
            messages.insert(dice.randrange(1, len(messages)), one)
        for one in messages:
            accept(made.ports, "bob@example.org", (f"ann@{DOMAIN}",), one)
        # what is byte for byte the same message has come again
        different = len({hashlib.sha256(one).digest() for one in bad})
        verdict = self._judge(made.server, before, [], GOOD_MAIL, least=GOOD_MAIL + different)
        letters = _count(made.server)[0] - before[0]
        for _ in range(4):
            if made.box.sync().result == "ok" and _count(made.box_side)[0] - at_box[0] == letters:
                break
        came, apart = (now - then for now, then in zip(_count(made.box_side), at_box, strict=True))
        if came != letters or apart:
            verdict.wrong.append(f"the server has {letters} letters, the box {came}, {apart} of them apart")
        return verdict

    # --- what came -------------------------------------------------------------------------------

    def _judge(
        self, side: Kept, before: tuple[int, int], bad: list[bytes], neighbours: int, *, least: int | None = None
    ) -> Verdict:
        letters, apart = (now - then for now, then in zip(_count(side), before, strict=True))
        verdict = Verdict([], letters, apart)
        subjects = Counter(
            subject
            for (subject,) in side.rows(f"SELECT subject FROM email WHERE subject GLOB 'T{self.number} letter *'")
        )
        for n in range(neighbours):
            if subjects[self._subject(n)] != 1:
                verdict.wrong.append(f"neighbour {n} is there {subjects[self._subject(n)]} times")
        rows = side.rows(f"SELECT kind, reason, raw_ref FROM quarantine ORDER BY no DESC LIMIT {max(0, apart)}")
        kept = Counter(side.blobs.read(str(ref)) for _kind, _reason, ref in rows if ref is not None)
        for kind, reason, _ref in rows:
            if not reason or any(words in reason for words in ("not storable", "not readable", "given up")):
                verdict.wrong.append(f"nobody has thought of this {kind}: {reason}")
        for one in bad:
            if not _is_object(one) and not kept[one]:
                verdict.wrong.append(f"what is no JSON is not in quarantine with its bytes: {one[:80]!r}")
        expected = neighbours + len(set(bad)) if least is None else least
        if letters + apart < expected:
            verdict.wrong.append(f"{letters} letters and {apart} set apart of {expected}")
        return verdict


def _count(side: Kept) -> tuple[int, int]:
    """How many letters are there, and how many stand apart."""
    ((letters, apart),) = side.rows("SELECT (SELECT count(*) FROM email), (SELECT count(*) FROM quarantine)")
    return int(letters), int(apart)


def _is_object(text: bytes) -> bool:
    """Whether another reading of RFC 8259 than ours sees an object."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
    except RecursionError:
        return True  # too deep to say


def mutated(body: bytes, dice: random.Random) -> bytes:
    """``body``, a JSON object, with its bytes damaged or its fields given values that nothing of ours writes."""
    if dice.random() < 0.5:
        return damaged(body, dice)
    fields = json.loads(body)
    for _ in range(dice.randint(1, 3)):
        name = dice.choice(sorted(fields))
        match dice.randrange(4):
            case 0 if len(fields) > 1:
                del fields[name]
            case 1:
                fields[
                    dice.choice(("kind", "proven", "entries", "posted", "automatic", "sent_at", "recipients", "x"))
                ] = dice.choice(ODD)
            case 2 if isinstance(fields[name], list) and fields[name]:
                fields[name] = [*fields[name], dice.choice(ODD)]
            case _:
                fields[name] = dice.choice(ODD)
    return json.dumps(fields, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def do(seed: int, worker: int, options: argparse.Namespace, began: float) -> dict[str, int]:
    """One worker's share of the trials."""
    figures = {"asked": 0, "trials": 0, "mutations": 0, "letters": 0, "apart": 0, "bad": 0}
    names = [f"{KINDS[n % len(KINDS)]}:{n}" for n in range(-(-options.mutations // DAMAGED))]
    samples = messages()
    with world(seed) as made:
        for name in inside.turns(options, names, worker, began, figures):
            made.go_back("idle")
            made.restart_box()
            kind, _, number = name.partition(":")
            verdict = Trial(made, kind, int(number), random.Random(f"{seed}:{name}"), samples).run()
            figures["mutations"] += DAMAGED
            figures["letters"] += verdict.letters
            figures["apart"] += verdict.apart
            inside.note_wrong(figures, name, verdict.wrong)
    return figures


def messages() -> list[bytes]:
    """Messages to damage: those that other projects test their parsers with, real letters, or our own sample."""
    folder = shared_folder()
    found = own_messages() if folder is None else [*shared_mime(folder), *shared_mail(folder)]
    return [one.raw for one in found if len(one.raw) < 30_000]


def main() -> int:
    """All trials, shared out to workers."""
    parser = inside.arguments("damage")
    parser.add_argument("--mutations", type=int, default=100_000)
    return inside.run("damage", parser.parse_args(), do)


if __name__ == "__main__":
    sys.exit(main())
