"""The three accounts of a first Lokole's server in Azure, by obstore; containers are opened as they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore

from lokole.adapters.blobs.object_store import CLIENT, RETRIES
from lokole.mail.errors import BadPackage, NotFound, Refused, Temporary

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig


_CODE = re.compile("<Code>([A-Za-z]+)</Code>")
#: the last two: a name that no container can have
_NO_CONTAINER = frozenset(("ContainerNotFound", "ResourceNotFound", "InvalidResourceName", "OutOfRangeInput"))
_NO_KEY = frozenset(("AuthenticationFailed", "AuthorizationFailure", "AuthorizationPermissionMismatch"))


class AzureArchive:
    """See :class:`~lokole.ports.archive.Archive`. ``key`` is the key of ``account``; without it the surroundings' identity is used."""

    def __init__(self, account: str, key: str | None = None, endpoint: str | None = None) -> None:
        self._account, self._stores = account, dict[str, AzureStore]()
        self._config: AzureConfig = {"account_name": account}
        self._client: ClientConfig = {**CLIENT}
        if key is not None:
            self._config["account_key"] = key
        if endpoint is not None:
            self._config["endpoint"] = endpoint
            self._client["allow_http"] = endpoint.startswith("http://")

    def names(self, container: str) -> list[str]:
        found: list[str] = []
        with self._translated():
            for batch in obstore.list(self._store(container), chunk_size=1000):
                found += [one["path"] for one in batch]
        return sorted(found)

    def read(self, container: str, name: str, max_bytes: int) -> bytes:
        with self._translated():
            got = obstore.get(self._store(container), name)
            if got.meta["size"] > max_bytes:
                raise BadPackage("it is too large")
            return bytes(got.bytes())

    def _store(self, container: str) -> AzureStore:
        store = self._stores.get(container)
        if store is None:
            store = AzureStore(container, config=self._config, client_options=self._client, retry_config=RETRIES)
            self._stores[container] = store
        return store

    def _refused(self) -> Refused:
        return Refused(f"the key of the storage account {self._account} is not accepted", code="setting")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise NotFound("no such object") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise self._refused() from error
        except (BaseError, TimeoutError, ConnectionError) as error:
            # a listing that fails has no class of its own: Azure's word for it stands in the text
            code = _CODE.search(str(error))
            if code is not None and code[1] in _NO_CONTAINER:
                raise NotFound("no such container") from error
            if code is not None and code[1] in _NO_KEY:
                raise self._refused() from error
            raise Temporary(f"the storage account did not answer well: {type(error).__name__}") from error
