"""From one line of settings to a store: ``LOKOLE_BLOBS=folder:///var/lib/lokole/blobs``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import Refused
from lokole.ports.blobs import BlobStore

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, S3Config

#: what a URL may look like, for the page of settings
FORMS = (
    "memory:",
    "folder:///path",
    "azure://account/container[?endpoint=URL]",
    "s3://bucket[?endpoint=URL&region=NAME]",
    "gs://bucket",
)


def open_blobs(url: str, secrets: Mapping[str, str] | None = None) -> BlobStore:
    """The store that ``url`` names; ``secrets`` never stand in it: ``account_key`` (azure), ``access_key_id`` and ``secret_access_key`` (s3),
    ``service_account_key`` (gs, JSON). Without secrets the surroundings' identity is used (a managed identity, a role).

    Raises Refused with code ``setting`` and a sentence that says what is wrong. Needs obstore for all but the first two.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    secrets = secrets or {}
    match parts.scheme:
        case "memory":
            return MemoryBlobStore()
        case "folder":
            if parts.netloc or not parts.path.startswith("/"):
                raise _wrong(url, "a folder is named from the root, as in folder:///var/lib/lokole/blobs")
            return FolderBlobStore(Path(unquote(parts.path)))
        case "azure" | "s3" | "gs":
            return _object_store(url, parts.scheme, parts.netloc, parts.path.strip("/"), options, secrets)
        case _:
            raise _wrong(url, f"known are {', '.join(FORMS)}")


def _object_store(
    url: str, scheme: str, name: str, path: str, options: dict[str, str], secrets: Mapping[str, str]
) -> BlobStore:
    # imported here: the box has no obstore
    from obstore.store import AzureStore, GCSStore, S3Store

    from lokole.adapters.blobs.object_store import CLIENT, RETRIES, ObjectBlobStore

    unknown = set(options) - {"endpoint", "region"}
    if unknown or not name:
        raise _wrong(url, f"known are {', '.join(FORMS)}")
    client: ClientConfig = {**CLIENT}
    endpoint = options.get("endpoint")
    if endpoint is not None and endpoint.startswith("http://"):
        client["allow_http"] = True
    if scheme == "azure":
        if not path or "/" in path:
            raise _wrong(url, "an Azure store is named azure://account/container")
        azure: AzureConfig = {"account_name": name}
        if endpoint is not None:
            azure["endpoint"] = endpoint
        if "account_key" in secrets:
            azure["account_key"] = secrets["account_key"]
        return ObjectBlobStore(AzureStore(path, config=azure, client_options=client, retry_config=RETRIES))
    prefix = path or None
    if scheme == "s3":
        s3: S3Config = {"region": options.get("region", "us-east-1")}
        if endpoint is not None:
            s3["endpoint"] = endpoint
        if "access_key_id" in secrets:
            s3["access_key_id"] = secrets["access_key_id"]
            s3["secret_access_key"] = secrets["secret_access_key"]
        return ObjectBlobStore(S3Store(name, prefix=prefix, config=s3, client_options=client, retry_config=RETRIES))
    gcs: GCSConfig = {}
    if "service_account_key" in secrets:
        gcs["service_account_key"] = secrets["service_account_key"]
    return ObjectBlobStore(GCSStore(name, prefix=prefix, config=gcs, client_options=client, retry_config=RETRIES))


def _wrong(url: str, why: str) -> Refused:
    return Refused(f"the store {url.partition('?')[0]!r} cannot be opened: {why}", code="setting")
