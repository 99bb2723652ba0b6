"""A box of the first Lokole over the Azure exchange storage, as such a box speaks to it: on a real Azurite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lokole.config import Url
from lokole.mail.model import Contact, Email
from lokole.server import intake
from lokole.sync.package import read_package
from lokole.sync.records import EmailRecord
from tests.servers import Azurite
from tests.unit.server.place import Place, message, packed, place_in

pytestmark = pytest.mark.e2e

DOMAIN = "old.lokole.test"


@dataclass(frozen=True)
class OldBoxAtAzure:
    """Its storage client: blocks, a list of blocks, HEAD and GET, each signed with the shared key it was told."""

    place: Place
    port: int
    details: dict[str, Any]

    def put(self, name: str, content: bytes) -> None:
        half = len(content) // 2
        blocks = {}
        for n, piece in enumerate((content[:half], content[half:])):
            blocks[f"block-{n}"] = piece
        for id, piece in blocks.items():
            encoded = base64.b64encode(id.encode()).decode()
            assert self.storage("PUT", name, {"blockid": encoded, "comp": "block"}, piece)[0] == 201
        listed = "".join(f"<Latest>{base64.b64encode(id.encode()).decode()}</Latest>" for id in blocks)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        assert self.storage("PUT", name, {"comp": "blocklist"}, body)[0] == 201

    def get(self, name: str) -> bytes | None:
        if self.storage("HEAD", name)[0] == 404:
            return None
        status, content = self.storage("GET", name)
        assert status == 200
        return content

    def storage(
        self, method: str, name: str = "", query: dict[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        account, container = self.details["storage_account"], self.details["resource_container"]
        path = f"/{account}/{container}" + (f"/{name}" if name else "")
        date = format_datetime(datetime.now(UTC), usegmt=True)
        length = str(len(body)) if body else ""
        resource = f"/{account}{path}" + "".join(f"\n{key}:{value}" for key, value in sorted((query or {}).items()))
        text = f"{method}\n\n\n{length}" + "\n" * 9 + f"x-ms-date:{date}\nx-ms-version:2018-11-09\n{resource}"
        digest = hmac.new(base64.b64decode(self.details["storage_key"]), text.encode(), hashlib.sha256).digest()
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2018-11-09",
            "Authorization": f"SharedKey {account}:{base64.b64encode(digest).decode()}",
        }
        asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in (query or {}).items())
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, f"{path}?{asked}" if asked else path, body or None, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def place(tmp_path: Path, azurite_server: Azurite) -> Iterator[Place]:
    url = azurite_server.new_container("boxes")
    with place_in(tmp_path, v1_boxes=True, exchange=Url(url), exchange_key=azurite_server.account_key) as found:
        yield found


@pytest.fixture
def box(place: Place, azurite_server: Azurite) -> OldBoxAtAzure:
    return OldBoxAtAzure(place, azurite_server.port, place.register(DOMAIN))


def test_a_letter_goes_out_and_one_comes_home(place: Place, box: OldBoxAtAzure) -> None:
    assert box.storage("HEAD", "", {"restype": "container"})[0] == 200
    letter = Email(Contact(f"ann@{DOMAIN}"), to=(Contact("bob@example.org"),), subject="out", body="<p>hello</p>")
    name = "6a4f2c1e-0d2b-4b7e-9c1d-0a1b2c3d4e5f.tar.zstd"
    box.put(name, packed([EmailRecord("u1", letter)], own_box=False))
    client = box.details["client_id"]
    answer = place.client.post(f"/api/email/upload/{client}", json={"resource_id": name})
    assert (answer.status_code, answer.json()) == (200, "uploaded")
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    assert box.get(name) is None, "plain mail does not stay where every such box can read it"

    intake.accept(place.ports, "bob@example.org", [f"ann@{DOMAIN}"], message(to=f"ann@{DOMAIN}", subject="in"))
    told = place.client.get(f"/api/email/download/{client}?compression=zstd").json()["resource_id"]
    content = box.get(told)
    assert content is not None
    (found,) = [record for record in read_package(io.BytesIO(content)) if isinstance(record, EmailRecord)]
    assert (found.email.subject, found.email.sender.address) == ("in", "bob@example.org")
    place.clock.pass_by(hours=1)
    assert place.client.get(f"/api/email/download/{client}?compression=zstd").json() == {"resource_id": None}
