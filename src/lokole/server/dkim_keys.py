"""The DKIM keys of each sending domain: made once, kept in the database, and what the domain has to publish.

One key for each algorithm of the settings; all boxes of a domain share it, because the server signs.
"""

from __future__ import annotations

from collections.abc import Sequence

from lokole.adapters.mail_out.dkim import DkimKey, new_private_key, public_record
from lokole.mailbox import tenants
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.identity import find_secret, get_secret
from lokole.mailbox.tenants import REMOVED
from lokole.ports.dns import DnsRecord
from lokole.server.dkim_names import key_name, selector_of
from lokole.server.settings import ServerSettings


def keys_of(database: Database, settings: ServerSettings, domain: str) -> list[DkimKey]:
    """The keys of ``domain``, made when they are not there; none for a domain that is neither a box's nor the flat one."""
    with database.read() as tx:
        row = tenants.find_tenant(tx, domain=domain)
        if domain != settings.flat_domain and (row is None or row.state == REMOVED):
            return []
        found = [_find(tx, settings, domain, algorithm) for algorithm in settings.dkim_algorithms]
    known = [one for one in found if one is not None]
    if len(known) == len(found):
        return known
    # made outside of the transaction: an RSA key takes a while
    made = {algorithm: new_private_key(algorithm) for algorithm in settings.dkim_algorithms}
    with database.write() as tx:
        return [
            DkimKey(
                selector_of(settings, algorithm),
                algorithm,
                get_secret(tx, key_name(settings, domain, algorithm), lambda algorithm=algorithm: made[algorithm]),  # type: ignore[misc]
            )
            for algorithm in settings.dkim_algorithms
        ]


def dkim_records(database: Database, settings: ServerSettings, domain: str) -> list[DnsRecord]:
    """What ``domain`` has to publish so that its letters are proven, its keys made when they are not there."""
    keys: Sequence[DkimKey] = keys_of(database, settings, domain)
    return [DnsRecord(f"{key.selector}._domainkey.{domain}", "TXT", public_record(key)) for key in keys]


def _find(tx: Connection, settings: ServerSettings, domain: str, algorithm: str) -> DkimKey | None:
    private = find_secret(tx, key_name(settings, domain, algorithm))
    return None if private is None else DkimKey(selector_of(settings, algorithm), algorithm, private)
