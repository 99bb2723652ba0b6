"""The storage of a first Lokole's server, on a folder and on a real Azurite: the same objects, the same move."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.adapters.archive.open import open_archive
from lokole.config import Url
from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.ports.archive import Archive
from lokole.server.move.domains import Source
from lokole.server.move.run import import_first
from lokole.sync.package import read_package
from lokole.sync.records import EmailRecord
from tests import first_server as first
from tests.contracts.test_v1_over_azure import OldBoxAtAzure
from tests.servers import Azurite
from tests.unit.server.place import place_in

pytestmark = pytest.mark.e2e


def azure_put(server: Azurite) -> first.Put:
    """Puts into Azurite; containers are made as they are needed."""
    import obstore
    from obstore.store import AzureStore

    stores: dict[str, AzureStore] = {}

    def put(container: str, name: str, content: bytes) -> None:
        if container not in stores:
            server.new_container(container)
            stores[container] = AzureStore(
                container,
                config={"account_name": server.account, "account_key": server.account_key, "endpoint": server.endpoint},
                client_options={"allow_http": True},
            )
        obstore.put(stores[container], name, content)

    return put


@pytest.fixture(params=["folder", "azure"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Archive, str, first.Put]]:
    if request.param == "folder":
        (tmp_path / "first").mkdir()
        url = f"folder://{tmp_path}/first"
        yield open_archive(url), url, first.folder_put(tmp_path / "first")
        return
    server: Azurite = request.getfixturevalue("azurite_server")
    url = f"azure://{server.account}?endpoint={server.endpoint}"
    yield open_archive(url, server.account_key), url, azure_put(server)


def test_a_whole_server_moves(archive: tuple[Archive, str, first.Put], tmp_path: Path) -> None:
    store, url, put = archive
    with pytest.raises(NotFound):
        store.names("nothing-here")
    first.fill(put)
    name = f"{first.A}/o'hara+x@{first.A}.msgpack.gz"
    assert name in store.names("users")
    with pytest.raises(BadPackage):
        store.read("users", name, 10)
    with pytest.raises(NotFound):
        store.read("users", "nobody", 10)
    with place_in(tmp_path / "server", v1_boxes=True, exchange=Url(f"folder://{tmp_path}/exchange")) as place:
        for run in (0, 1):
            report = import_first(place.ports, Source(store, store, store), clients_url=url)
            assert report.problems == []
            found = [(one.new, one.known) for one in report.counts.values()]
            wanted = [(2, 0), (2, 0), (7, 0), (2, 0), (1, 0), (1, 1)]
            assert found == (wanted if run == 0 else [(0, new + known) for new, known in wanted])
            assert len(report.warnings) == 1, "boxes would look elsewhere"


def test_a_box_goes_on_over_azure(azurite_server: Azurite, tmp_path: Path) -> None:
    """With LOKOLE_EXCHANGE as the container that it used before, and nothing told to it."""
    url = f"azure://{azurite_server.account}?endpoint={azurite_server.endpoint}"
    first.fill(azure_put(azurite_server))
    store = open_archive(url, azurite_server.account_key)
    exchange = Url(f"azure://{azurite_server.account}/compressedpackages?endpoint={azurite_server.endpoint}")
    with place_in(tmp_path, v1_boxes=True, exchange=exchange, exchange_key=azurite_server.account_key) as place:
        report = import_first(place.ports, Source(store, store, store), clients_url=url)
        assert (report.problems, report.warnings) == ([], [])
        place.work()
        known = {
            "storage_account": azurite_server.account,
            "storage_key": azurite_server.account_key,
            "resource_container": "compressedpackages",
        }
        box = OldBoxAtAzure(place, azurite_server.port, known)
        sent = len(place.world.sent)
        box.put("tonight.tar.gz", first.uploaded(first.OUT, "99999999-0000-4000-8000-000000000009"))
        answer = place.client.post(f"/api/email/upload/{first.CLIENT_A}", json={"resource_id": "tonight.tar.gz"})
        assert (answer.status_code, answer.json()) == (200, "uploaded")
        assert len(place.world.sent) == sent + 1, "what was sent there is not sent again"
        path = f"/api/email/download/{first.CLIENT_A}?compression=gz"
        content = box.get(place.client.get(path).json()["resource_id"])
        assert content is not None
        got = [one.email.subject for one in read_package(io.BytesIO(content)) if isinstance(one, EmailRecord)]
        assert sorted(got) == ["not read yet", "still waits"]
        place.clock.pass_by(hours=1)
        assert place.client.get(path).json() == {"resource_id": None}


def test_a_wrong_key_is_told(azurite_server: Azurite) -> None:
    import base64

    url = f"azure://{azurite_server.account}?endpoint={azurite_server.endpoint}"
    with pytest.raises(Refused, match="key"):
        open_archive(url, base64.b64encode(b"wrong").decode()).names("clients-auth")


@pytest.mark.parametrize("url", ["folder:relative", "folder:///not/there", "azure://acc/container", "s3://x", "x"])
def test_an_address_that_names_no_storage_is_told(url: str) -> None:
    with pytest.raises(Refused):
        open_archive(url)
