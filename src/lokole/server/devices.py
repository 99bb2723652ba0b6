"""Domains and the boxes that serve them: registering, claiming with a one-time code, revoking, forgetting.

Registering answers at once; the work behind it is a job (``prepare``), as is forgetting (``remove``).
A domain is its owner's: whoever registered it, and callers who may override.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update

from lokole.mail.errors import LokoleError, NotFound, Refused
from lokole.mail.model import normal_domain
from lokole.mailbox import domain_acts, jobs, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.domain_acts import note_domain
from lokole.mailbox.identity import forget_secret
from lokole.mailbox.jobs import Job
from lokole.mailbox.options import set_option
from lokole.mailbox.schema import tenant as tenant_table
from lokole.mailbox.sessions import end_everybodys_sessions
from lokole.mailbox.tenants import CLAIMED, PREPARING, REMOVED, WAITING, TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Entropy
from lokole.ports.identity import Caller
from lokole.server import reconcile
from lokole.server.dkim_names import key_names
from lokole.server.dns_records import Checked, check_records, wanted_records
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_operator
from lokole.sync.signing import decode_key, encode_key

#: which payloads the box of a row can read (protocol 4.1); without it all that we write
READS_OPTION = "reads"
#: before the key of a package that lies in the exchange store and not in ours
EXCHANGED = "exchange:"


@dataclass(frozen=True, slots=True)
class Details:
    """What the owner of a domain may know of it; ``code`` until a box has claimed it, the rest for version 1 boxes only."""

    client_id: str
    domain: str
    code: str | None = None
    webhook: str | None = None
    resource_container: str | None = None
    storage_account: str | None = None
    storage_key: str | None = None


def register(ports: ServerPorts, caller: Caller, domain: str) -> None:
    """Begin to serve ``domain``; raises Refused with code ``address`` (not a domain in its normal form) or ``exists``."""
    if domain != normal_domain(domain):
        raise Refused("write the domain in lower case", code="address", field="domain")
    if domain == ports.settings.bots_domain:
        raise Refused("this domain is the services' own, as LOKOLE_BOTS_DOMAIN says", code="exists", field="domain")
    now = ports.clock()
    device_id = str(uuid.UUID(bytes=ports.entropy(16), version=4))
    v1 = ports.settings.v1_boxes and ports.exchange is not None
    container = None
    if v1 and ports.exchange is not None:
        container = ports.exchange.shared_container or str(uuid.UUID(bytes=ports.entropy(16), version=4))
    with ports.database.write() as tx:
        no = tenants.add_tenant(
            tx,
            domain=domain,
            device_id=device_id,
            owner=caller.name,
            state=PREPARING,
            # a box of the first Lokole knows no other secret than its client id
            webhook_secret=device_id if v1 else ports.entropy(16).hex(),
            claim_code=new_code(ports.entropy),
            v1=v1,
            v1_container=container,
            now=now,
        )
        note_domain(tx, domain, domain_acts.REGISTERED, now, actor=caller.name)
        jobs.enqueue(tx, "prepare", device_id, {}, tenant=no, now=now)
    ports.events.count("new_client_registered")
    ports.bell.ring()


def list_domains(ports: ServerPorts, caller: Caller) -> list[str]:
    """The caller's domains that are ready, all of them for whoever may override."""
    with ports.database.read() as tx:
        rows = tenants.list_tenants(tx, None if caller.may_override else tenants.numbers(owner=caller.name))
    return [row.domain for row in rows if row.state in (WAITING, CLAIMED)]


def details(ports: ServerPorts, caller: Caller, domain: str) -> Details:
    """The details of ``domain`` once the work behind it is done; raises NotFound before, and Refused (``not-yours``, ``given-up``)."""
    with ports.database.read() as tx:
        row = own_row(tx, caller, domain)
    return _details(ports, row)


def records(ports: ServerPorts, caller: Caller, domain: str) -> list[Checked]:
    """The DNS records that ``domain`` needs, and what the world's DNS says of each; raises NotFound and Refused (``not-yours``)."""
    with ports.database.read() as tx:
        row = own_row(tx, caller, domain, ready=False)
    return check_records(ports, row.domain)


def delete(ports: ServerPorts, caller: Caller, domain: str) -> None:
    """Serve ``domain`` no more; what it kept is removed by a job. Raises NotFound and Refused (``not-yours``)."""
    now = ports.clock()
    with ports.database.write() as tx:
        row = own_row(tx, caller, domain, ready=False)
        tenants.revoke(tx, row.no, now)
        tenants.set_state(tx, row.no, REMOVED)
        end_everybodys_sessions(tx, row.no)
        note_domain(tx, row.domain, domain_acts.DELETED, now, actor=caller.name, detail=f"of {row.owner}")
        # without a tenant of its own: the job outlives the row
        jobs.enqueue(tx, "remove", row.device_id, {"tenant": row.no}, tenant=None, now=now)
    ports.events.count("domain_deleted")
    ports.bell.ring()


def revoke_keys(ports: ServerPorts, caller: Caller, domain: str) -> Details:
    """Take the keys of a lost box back; the domain waits for a box again, under a new code."""
    with ports.database.write() as tx:
        row = own_row(tx, caller, domain)
        now = ports.clock()
        tenants.revoke(tx, row.no, now)
        note_domain(tx, row.domain, domain_acts.REVOKED, now, actor=caller.name)
        tx.execute(
            update(tenant_table)
            .where(tenant_table.c.no == row.no)
            .values(state=WAITING, claim_code=new_code(ports.entropy))
        )
        row = tenants.get_tenant(tx, row.no)
    return _details(ports, row)


def claim(ports: ServerPorts, code: str, public_key: str, reads: Sequence[int] | None = None) -> TenantRow:
    """Give the row that waits under ``code`` to the box with ``public_key`` (base64); ``reads`` are the payloads that it can read.

    A box with another key than the one before has forgotten everything: all of the retention time waits for it again.
    Raises NotFound (no such code, or used up) and Refused with code ``public-key`` (it is none) or ``key`` (another box has it).
    """
    try:
        key = decode_key(public_key)
    except Refused as error:
        raise Refused(str(error), code="public-key", field="public_key") from error
    with ports.database.write() as tx:
        row, is_new = _claim(tx, normal_code(code), key, ports.clock())
        if is_new:
            note_domain(tx, row.domain, domain_acts.CLAIMED, ports.clock(), detail=f"key {encode_key(key)}")
        if reads is not None:
            set_option(tx, row.no, READS_OPTION, list(reads)[:20])
        if tenants.count_credentials(tx, row.no) > 1:
            reconcile.begin_anew(ports, tx, row)
        return row


def _claim(tx: Connection, code: str, key: bytes, now: datetime) -> tuple[TenantRow, bool]:
    """The row, and whether it is claimed just now."""
    was_known = tenants.is_known_key(tx, key)
    return tenants.claim_tenant(tx, code, key, now), not was_known


def normal_code(text: str) -> str:
    """A one-time code as it is kept, however it was typed: case, blanks and dashes do not count."""
    plain = "".join(text.split()).replace("-", "").lower()
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))


# --- the work behind -------------------------------------------------------------------------


def prepare(ports: ServerPorts, job: Job) -> bool:
    """Have mail for a new domain brought here, then show its details; every step may be repeated."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=job.tenant)
    if row is None or row.state != PREPARING:
        return False
    ports.intake.start(row.domain, row.webhook_secret)
    ports.dns.publish(row.domain, wanted_records(ports, row.domain))
    if row.v1 and row.v1_container is not None and ports.exchange is not None:
        ports.exchange.prepare(row.v1_container)
    with ports.database.write() as tx:
        current = tenants.find_tenant(tx, no=row.no)
        is_gone = current is None or current.state == REMOVED
        if not is_gone:
            if current is not None and current.state == PREPARING:
                tenants.set_state(tx, row.no, WAITING)
            jobs.finish(tx, job)
    if is_gone:
        _stop_mail(ports, row.domain)  # deleted meanwhile, and perhaps undone before it was done
    return not is_gone


def given_up(ports: ServerPorts, job: Job, error: Exception) -> None:
    """A domain could not be made ready: the operator is told why, as far as the words are ours."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=job.tenant)
    if row is not None and row.state == PREPARING:
        why = str(error) if isinstance(error, LokoleError) else "a fault of ours, the log says where"
        tell_operator(ports, f"{row.domain} could not be made ready: {why}. Then try `lokole server again`.")


def _stop_mail(ports: ServerPorts, domain: str) -> None:
    """Undo what :func:`prepare` did outside, unless the domain was registered anew."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=domain)
    if row is None or row.state == REMOVED:
        ports.intake.stop(domain)
        ports.dns.withdraw(domain, wanted_records(ports, domain))


def remove(ports: ServerPorts, job: Job) -> bool:
    """Undo :func:`prepare`, then forget all that the domain kept, blobs first so that a repeat finds the row."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=int(job.ids["tenant"]))
    if row is None or row.state != REMOVED:
        return False
    _stop_mail(ports, row.domain)
    count = 0
    for key in list(ports.blobs.list(f"{row.domain}/")):
        ports.blobs.delete(key)
        count += 1
    for blobs, key in _exchanged(ports, row):
        blobs.delete(key)
        count += 1
    with ports.database.write() as tx:
        tenants.remove_tenant(tx, row.no)
        for name in key_names(ports.settings, row.domain):
            forget_secret(tx, name)
        note_domain(tx, row.domain, domain_acts.DESTROYED, ports.clock(), detail=f"{count} files")
        jobs.finish(tx, job)
    return True


def _exchanged(ports: ServerPorts, row: TenantRow) -> Iterator[tuple[BlobStore, str]]:
    """What a version 1 box has in the exchange store: its container, or its packages in one that others have too."""
    if row.v1_container is None or ports.exchange is None:
        return
    blobs = ports.exchange.blobs
    with ports.database.read() as tx:
        shared = tenants.shares_container(tx, row, ports.exchange.shared_container)
        keys = packages.blobs_of(tx, row.no, EXCHANGED) if shared else list(blobs.list(f"{row.v1_container}/"))
    yield from ((blobs, key) for key in keys)


# --- who may what ----------------------------------------------------------------------------


def own_row(tx: Connection, caller: Caller, domain: str, *, ready: bool = True) -> TenantRow:
    row = tenants.find_tenant(tx, domain=domain)
    if row is None or row.state == REMOVED:
        raise NotFound("this domain is not registered")
    if row.owner != caller.name and not caller.may_override:
        raise Refused("this domain is somebody else's", code="not-yours", field="domain")
    if ready and row.state == PREPARING:
        if jobs.is_dead(tx, "prepare", row.device_id):
            raise Refused(
                "this domain could not be made ready; /api/email/metrics/trouble says why. Mend that and try"
                " `lokole server again`, or delete the domain and register it anew",
                code="given-up",
                field="domain",
            )
        raise NotFound("this domain is not ready yet")
    return row


def _details(ports: ServerPorts, row: TenantRow) -> Details:
    plain = Details(row.device_id, row.domain, webhook=row.webhook_secret)
    if row.state == CLAIMED:
        return plain
    if not serves_v1(row) or ports.exchange is None or not ports.settings.v1_boxes:
        return Details(row.device_id, row.domain, row.claim_code, row.webhook_secret)
    return Details(
        row.device_id,
        row.domain,
        row.claim_code,
        row.webhook_secret,
        row.v1_container,
        ports.exchange.account,
        ports.exchange.key,
    )


def serves_v1(row: TenantRow) -> bool:
    """Whether a box of the first Lokole may come for this row: it was made so, and no box with a key has claimed it."""
    return row.v1 and row.state == WAITING


def new_code(entropy: Entropy) -> str:
    """80 random bits that a person can read out over the phone."""
    return normal_code(base64.b32encode(entropy(10)).decode("ascii"))
