"""A box gets its place at a server: it claims, with a one-time code, the row that an operator made for its domain.

The private key stays here; the server learns the public half.
The claim may be repeated with the same code by the same box (an answer that was lost); the code is nobody else's then.
What was written before, under the domain that a box has until it is registered, gets the domain that it has from now on.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, update

from lokole.device.box import SERVER_OPTION, Box
from lokole.device.packing import SERVER_KEY_OPTION, UP
from lokole.device.signer import next_seed, replace_seed
from lokole.mail.errors import Refused
from lokole.mail.model import TenantNo
from lokole.mailbox import packages, schema
from lokole.mailbox.database import Connection
from lokole.mailbox.options import forget_option, set_option
from lokole.ports.blobs import BlobStore
from lokole.sync.signing import Seed, encode_key, public_key


def register(box: Box, code: str, *, server_url: str | None, again: bool = False) -> str:
    """Claim the row of ``code`` and remember server, device id and domain; returns a sentence for whoever asked.

    ``again`` is for a box whose key the server has taken back: it makes a new key and gives up its place for the one of ``code``.
    Raises Refused (code ``registered`` when the box has its place already, ``server`` when no server is named, ``busy`` while an
    exchange is under way, or what the server said) and Temporary.
    """
    # an exchange would go on writing files for the domain that the box has no more
    with box.lock.held():
        return _register(box, code, server_url=server_url, again=again)


def _register(box: Box, code: str, *, server_url: str | None, again: bool) -> str:
    row = box.row()
    if row.state == "claimed" and not again:
        raise Refused(
            f"this box is registered already, as {row.domain}; --again gives it a new key and the place of CODE",
            code="registered",
        )
    url = server_url or box.server_url()
    if url is None:
        raise Refused("name the server with --server or LOKOLE_SERVER_URL", code="server")
    seed = box.seed if row.state != "claimed" else _next_seed(box)
    claimed = box.ports.claim(url, code.strip(), bytes(public_key(seed)))
    device_id, domain = claimed[0], claimed[1]
    server_key = claimed[2] if len(claimed) == 3 else None
    _copy_blobs(box.ports.blobs, row.domain, domain)
    with box.ports.database.write() as tx:
        _rename(tx, row.no, row.domain, domain)
        values = {"device_id": device_id, "domain": domain, "state": "claimed"}
        tx.execute(update(schema.tenant).where(schema.tenant.c.no == row.no).values(values))
        set_option(tx, row.no, SERVER_OPTION, url)
        _other_end(tx, row.no, server_key, box.ports.clock())
        if seed != box.seed:
            replace_seed(tx, seed)
    box.seed = seed
    _copy_blobs(box.ports.blobs, row.domain, domain)  # what came while the rows were written
    _delete_blobs(box.ports.blobs, row.domain, domain)
    return f"This box is {domain} now. Restart `lokole device` if it runs."


def _next_seed(box: Box) -> Seed:
    """The key to come: the same one until it has been claimed, so that a lost answer can be asked for again."""
    with box.ports.database.write() as tx:
        return next_seed(tx, box.ports.entropy)


def _copy_blobs(blobs: BlobStore, old: str, new: str) -> None:
    if old == new:
        return
    for key in blobs.list(f"{old}/"):
        with blobs.open(key) as content:
            blobs.put(f"{new}/{key.removeprefix(f'{old}/')}", iter(lambda: content.read(65536), b""))


def _delete_blobs(blobs: BlobStore, old: str, new: str) -> None:
    if old != new:
        for key in list(blobs.list(f"{old}/")):
            blobs.delete(key)


def _other_end(tx: Connection, tenant: TenantNo, server_key: bytes | None, now: datetime) -> None:
    """Remember the server's key; what is packed speaks of an old domain, or is sealed and signed with keys that are gone."""
    if server_key is None:
        forget_option(tx, tenant, SERVER_KEY_OPTION)
    else:
        set_option(tx, tenant, SERVER_KEY_OPTION, encode_key(server_key))
    for built in packages.packages_after(tx, tenant, UP, 0, states=("built",)):
        packages.withdraw_package(tx, built.no, now)


def _rename(tx: Connection, tenant: TenantNo, old: str, new: str) -> None:
    """Let every address at ``old`` be at ``new``: in letters, recipients and envelopes of this box."""
    if old == new:
        return
    for table, name in (
        (schema.email, "sender_address"),
        (schema.email, "recipients_line"),
        (schema.address, "address"),
        (schema.recipient, "address"),
        (schema.envelope, "address"),
    ):
        column = table.c[name]
        tx.execute(
            update(table)
            .where(table.c.tenant == tenant, column.like(f"%@{old}%"))
            .values({name: func.replace(column, f"@{old}", f"@{new}")})
        )
    tx.execute(
        update(schema.package)
        .where(schema.package.c.tenant == tenant)
        .values(blob=func.replace(schema.package.c.blob, f"{old}/", f"{new}/"))
    )
    # people are unknown at the server under their new addresses
    tx.execute(update(schema.account).where(schema.account.c.tenant == tenant).values(sent_version=0))
