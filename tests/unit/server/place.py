"""A whole server in this process: inline work, a clock that stands still, blobs in memory, letters out in a list.

:class:`Place` is the server with its operator, :class:`BoxAtPlace` a box of ours that signs its requests.
"""

from __future__ import annotations

import atexit
import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.mail_out.recorder import RecorderMailOut
from lokole.config import Url
from lokole.mail.errors import Permanent, Temporary
from lokole.mailbox import jobs, packages, quarantine, tenants
from lokole.mailbox.migrate import migrate
from lokole.mailbox.quarantine import Quarantined
from lokole.mailbox.tenants import TenantRow
from lokole.ports.mail_out import MailOut
from lokole.server.api.uploads import PART_HEADERS, UPLOAD_HEADERS
from lokole.server.build import Server, build_server
from lokole.server.jobs import KINDS, Kind
from lokole.server.settings import ServerSettings
from lokole.server.worker import Worker
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind
from lokole.sync.package import Compression, write_package
from lokole.sync.records import AccountRecord, AnyRecord, EmailRecord, Record
from lokole.sync.sealed import read_sealed, write_sealed
from lokole.sync.signing import body_sha256, decode_key, encode_key, new_key, public_key, sign_request

OPERATOR = ("operator", "correct horse battery")
#: Somebody who may register domains, and touch no others.
NEIGHBOUR = "a-token-of-the-neighbour"
#: headers that a signature covers besides (protocol 4.2)
COVERED = {"PUT": UPLOAD_HEADERS, "PATCH": PART_HEADERS, "GET": ("Lokole-Digest",)}
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is told to move."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        """Let time pass, in the words of ``timedelta``."""
        self.now += timedelta(**duration)


class WorldMailOut(RecorderMailOut):
    """Keeps letters like the recorder; ``troubles`` are raised first, one for each attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: list[Temporary | Permanent] = []
        self.attempts: list[bytes] = []

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        self.attempts.append(message)
        if self.troubles:
            raise self.troubles.pop(0)
        super().send(sender=sender, recipient=recipient, message=message)


class Place:
    """The server, seen from outside by HTTP and from inside through its ports."""

    def __init__(self, server: Server, client: TestClient, clock: Clock, world: WorldMailOut) -> None:
        self.server = server
        self.ports = server.ports
        self.client = client
        self.clock = clock
        self.world = world
        #: does the work instead of this process, in tests of engines
        self.engine: Callable[[Mapping[str, Kind]], int] | None = None

    def register(self, domain: str) -> dict[str, Any]:
        """Register ``domain`` as the operator does; its details."""
        answer = self.client.post("/api/email/register/", json={"domain": domain}, auth=OPERATOR)
        assert answer.status_code == 201, answer.text
        details: dict[str, Any] = self.client.get(f"/api/email/register/{domain}", auth=OPERATOR).json()
        return details

    def box(self, domain: str, people: Sequence[str] = ()) -> BoxAtPlace:
        """A claimed box; ``people`` have signed up and it has visited once."""
        details = self.register(domain)
        box = BoxAtPlace(self, domain, details["webhook"])
        box.claim(details["code"])
        if people:
            box.put([AccountRecord(f"{name}@{domain}", language="en", version=1) for name in people])
        return box

    def row(self, domain: str) -> TenantRow:
        with self.ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=domain)
        assert row is not None
        return row

    def work(self, kinds: Mapping[str, Kind] = KINDS) -> int:
        """Do what is due by now; returns how many rows were done."""
        if self.engine is not None:
            return self.engine(kinds)
        return Worker(self.ports, kinds=kinds).work_off()

    def quarantined(self) -> list[Quarantined]:
        with self.ports.database.read() as tx:
            return quarantine.list_quarantine(tx, everybody=True)

    def pending(self, domain: str) -> int:
        with self.ports.database.read() as tx:
            return packages.count_waiting(tx, self.row(domain).no, "down")

    def jobs(self, state: str, kind: str | None = None) -> int:
        with self.ports.database.read() as tx:
            return jobs.count_jobs(tx, state, kind)

    def webhook(
        self, secret: str, raw: bytes, to: Sequence[str] | None = None, sender: str = "bob@example.org", **fields: str
    ) -> httpx2.Response:
        """Post a raw message as SendGrid does; without ``to`` there is no envelope."""
        form = {name: (None, value.encode()) for name, value in fields.items()}
        form["email"] = (None, raw)
        if to is not None:
            form["envelope"] = (None, json.dumps({"to": list(to), "from": sender}).encode())
        return self.client.post(f"/api/email/sendgrid/{secret}", files=form)


class BoxAtPlace:
    """A box with a key of its own."""

    def __init__(self, place: Place, domain: str, webhook: str) -> None:
        self.place = place
        self.domain = domain
        self.webhook = webhook
        self.seed = new_key(place.ports.entropy)
        self.counter = 0
        self.epoch = 7
        self.seq = 0
        #: of each epoch of the server what :meth:`fetch` has taken
        self.taken: dict[int, set[int]] = {}
        self.device_id = place.row(domain).device_id

    def claim(self, code: str) -> None:
        key = encode_key(public_key(self.seed))
        answer = self.place.client.post("/api/exchange/claim", json={"code": code, "public_key": key})
        assert answer.status_code == 200, answer.text
        said = answer.json()
        self.server_key = decode_key(said.pop("server_key"))
        assert said == {"device_id": self.device_id, "domain": self.domain}

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        signing: dict[str, Any] | None = None,
    ) -> httpx2.Response:
        """One signed request; ``signing`` overrides what is signed."""
        self.counter += 1
        headers = headers or {}
        signed: dict[str, Any] = {
            "device_id": self.device_id,
            "method": method,
            "path_and_query": path,
            "body_sha256": body_sha256(body),
            "counter": self.counter,
            "headers": {name: value for name, value in headers.items() if name in COVERED.get(method, ())},
        } | (signing or {})
        authorization = sign_request(signed.pop("seed", self.seed), **signed)
        return self.place.client.request(
            method, path, content=body, headers={**headers, "Authorization": authorization}
        )

    def put(self, records: Sequence[Record], *, seq: int | None = None, expect: int = 201) -> httpx2.Response:
        """Pack ``records`` and hand them over."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        return self.put_bytes(packed(records), seq=seq, expect=expect)

    def put_bytes(self, content: bytes, *, seq: int, expect: int = 201) -> httpx2.Response:
        digest = body_sha256(content)
        answer = self.call("PUT", f"/api/exchange/packages/{digest}", content, self.upload_headers(seq))
        assert answer.status_code == expect, answer.text
        return answer

    def upload_headers(self, seq: int) -> dict[str, str]:
        return {
            "Content-Type": Compression.ZSTD.content_type,
            "Lokole-Epoch": str(self.epoch),
            "Lokole-Seq": str(seq),
        }

    def offers(self, after: int = 0, *, unsent: bool = False) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/api/exchange/packages?after={after}{'&unsent=1' if unsent else ''}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["packages"]
        return found

    def put_sealed(
        self, records: Sequence[AnyRecord], *, seq: int | None = None, expect: int = 201, **changes: Any
    ) -> httpx2.Response:
        """Seal ``records`` and hand them over; ``changes`` are fields of the header."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        content = self.sealed(records, seq, **changes)
        headers = {"Content-Type": CONTENT_TYPE, "Lokole-Epoch": str(self.epoch), "Lokole-Seq": str(seq)}
        answer = self.call("PUT", f"/api/exchange/packages/{body_sha256(content)}", content, headers)
        assert answer.status_code == expect, answer.text
        return answer

    def sealed(self, records: Sequence[AnyRecord], seq: int, **changes: Any) -> bytes:
        """A package of this box as it goes up."""
        header = replace(Header("up", self.domain, self.device_id, self.epoch, seq, PayloadKind.ZSTD), **changes)
        out = io.BytesIO()
        write_sealed(
            out,
            header,
            records,
            sender_seed=self.seed,
            recipient_public=self.server_key,
            entropy=random.Random(seq).randbytes,
        )
        return out.getvalue()

    def get(self, offered: dict[str, Any]) -> list[AnyRecord]:
        answer = self.call("GET", f"/api/exchange/packages/{offered['sha256']}")
        assert answer.status_code == 200, answer.text
        assert body_sha256(answer.content) == offered["sha256"]
        assert len(answer.content) == offered["size"]
        assert offered["type"] == CONTENT_TYPE
        opened = read_sealed(
            io.BytesIO(answer.content), recipient_seed=self.seed, sender_public=lambda header: self.server_key
        )
        assert (opened.header.tenant, opened.header.device_id) == (self.domain, self.device_id)
        assert (opened.header.epoch, opened.header.seq) == (offered["epoch"], offered["seq"])
        return list(opened.records)

    def acknowledge(self, epoch: int, seq: int, beyond: Sequence[int] = ()) -> int:
        body = json.dumps({"epoch": epoch, "seq": seq, "beyond": list(beyond)}).encode()
        answer = self.call("POST", "/api/exchange/ack", body, {"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        delivered: int = answer.json()["delivered"]
        return delivered

    def fetch(self, *, unsent: bool = False) -> list[EmailRecord]:
        """Take home and acknowledge everything that waits; ``unsent`` as long as the box has more to tell."""
        letters: list[EmailRecord] = []
        for offered in self.offers(unsent=unsent):
            letters += [record for record in self.get(offered) if isinstance(record, EmailRecord)]
            taken = self.taken.setdefault(offered["epoch"], set())
            taken.add(offered["seq"])
            self.acknowledge(offered["epoch"], 0, sorted(taken))
        return letters


def packed(records: Sequence[Record], *, own_box: bool = True, compression: Compression = Compression.ZSTD) -> bytes:
    buffer = io.BytesIO()
    write_package(buffer, records, compression=compression, own_box=own_box)
    return buffer.getvalue()


def message(to: str = "ann@a.lokole.test", subject: str = "hello", text: str = "hello there", extra: str = "") -> bytes:
    """A small message as it comes over the wire."""
    head = f"From: Bob <bob@example.org>\r\nTo: {to}\r\nSubject: {subject}\r\n{extra}"
    return f"{head}Date: Sun, 01 Mar 2026 11:00:00 +0000\r\n\r\n{text}\r\n".encode()


def settings_for(folder: Path, **changes: Any) -> ServerSettings:
    plain = ServerSettings(
        registration_username=OPERATOR[0],
        registration_password=OPERATOR[1],
        mail_out=Url("recorder:"),
        recipients_a_day=0,  # some tests send more than a person does in a day
        data=folder,
        jobs=Url("inline:"),
        smtp_listen="off",
        console=True,
    )
    return replace(plain, **changes)


@functools.cache
def _empty_database() -> Path:
    """Alembic takes most of a second, so it runs once for all tests of a process."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate(f"sqlite:///{folder / 'empty.db'}")
    return folder / "empty.db"


@contextmanager
def place_in(
    folder: Path,
    *,
    clock: Clock | None = None,
    seed: int = 1,
    web: bool = False,
    mail_out_port: MailOut | None = None,
    adapters: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Iterator[Place]:
    """A place whose data is in ``folder``; ``adapters`` are given to ``build_server``, ``changes`` are settings.

    An adapter that is None there is built from the settings. Letters leave by ``mail_out_port`` or into ``world``.
    """
    clock = clock or Clock()
    world = WorldMailOut()
    if "database" not in changes and not (folder / "lokole.db").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(_empty_database(), folder / "lokole.db")
    server = build_server(
        settings_for(folder, **changes),
        clock=clock,
        entropy=random.Random(seed).randbytes,
        mail_out=mail_out_port or world,
        shrink=lambda content, limits: None,
        blobs=MemoryBlobStore(),
        web=web,
        **({"identity": StaticIdentity(*OPERATOR, tokens=((NEIGHBOUR, "neighbour"),))} | dict(adapters or {})),
    )
    try:
        with TestClient(server.app, raise_server_exceptions=False) as client:
            yield Place(server, client, clock, world)
    finally:
        server.ports.database.close()
