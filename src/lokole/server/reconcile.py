"""Do box and server hold the same letters? What a visit compares, and how a hole is filled (protocol 4.13, 8.5, 8.6).

The unit is the package: of each one both ends know the letters that it carried and that are held.
A package down that the box lacks is offered again, with the same bytes; one up that the server lacks is read again where its bytes are here,
else asked for. What nobody can read any more is withdrawn: its letters wait again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import held, jobs, outbound, packages, tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.identity import ensure_identity, renew_epoch
from lokole.mailbox.options import set_option
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.quarantine import kept_last, quarantine
from lokole.mailbox.tenants import TenantRow
from lokole.server.ports import ServerPorts
from lokole.sync import digest
from lokole.sync.bodies import MAX_BEYOND
from lokole.sync.digest import Difference, Summary
from lokole.sync.records import AckRecord, PackageDigest, ToldRecord

#: ``{"missing", "letters", "at"}``: how many letters of how many were missing at the last comparison
HELD_OPTION = "held_together"
#: the state of a package up whose bytes are gone here and that the box is to send once more
ASKED_AGAIN = "asked-again"
_A_DAY = timedelta(days=1)
_STATES = ("built", "acknowledged", "unpacked")
#: what the box took long ago leaves its windows before it leaves these
_LOOK_BACK = held.LOOK_BACK - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Compared:
    """The answer to a box whose digest differed."""

    up: tuple[tuple[int, int], ...]
    withdrawn: tuple[tuple[str, int, int], ...]
    again: int
    missing: int
    letters: int


def hear_summary(ports: ServerPorts, row: TenantRow, theirs: Summary) -> str:
    """``ok`` when the box holds what we do, ``differs`` when not, ``none`` while its packages are still being read."""
    now = ports.clock()
    with ports.database.write() as tx:
        if held.any_in_state(tx, row.no, "up", "held"):
            return "none"
        epoch = ensure_identity(tx, ports.entropy)
        highest = max((one.last for one in theirs.windows if (one.direction, one.epoch) == ("down", epoch)), default=0)
        if notice_restore(ports, tx, row, epoch, highest):
            return "differs"
        ours = digest.summarise(held.digests(tx, row.no, _STATES, windows=theirs.windows), theirs.windows)
        if not ours.agrees(theirs) or _beyond(tx, row, epoch, highest, now):
            return "differs"
        _note(tx, row, 0, theirs.count, now)
    return "ok"


def compare(ports: ServerPorts, row: TenantRow, theirs: Sequence[PackageDigest]) -> Compared:
    """Find the holes between what the box lists and what is here, and have them filled; may be repeated."""
    now = ports.clock()
    with ports.database.write() as tx:
        epoch = ensure_identity(tx, ports.entropy)
        listed = {(one.direction, one.epoch, one.seq) for one in theirs}
        ours = held.digests(tx, row.no, _STATES)
        highest = max((seq for way, of, seq in listed if (way, of) == ("down", epoch)), default=0)
        lately = {
            ("down", one.epoch, one.seq)
            for one in packages.packages_after(tx, row.no, "down", 0, states=("acknowledged",))
            if _counts(one, row, epoch, highest, now)
        }
        here = [one for one in ours if (one.direction, one.epoch, one.seq) in listed | lately]
        notice_restore(ports, tx, row, epoch, highest)
        up: list[tuple[int, int]] = []
        withdrawn: list[tuple[str, int, int]] = []
        again = missing = 0
        for difference in digest.diff(here, theirs):
            missing += difference.missing_here + difference.missing_there
            if difference.direction == "up":
                _mend_up(ports, tx, row, difference, up, withdrawn, now)
            else:
                again += _mend_down(ports, tx, row, difference, withdrawn, now)
        letters = _letters(here, theirs)
        _note(tx, row, missing, letters, now)
        gone = [
            one
            for one in packages.packages_after(tx, row.no, "down", 0, states=("withdrawn",))
            if one.changed_at >= now - held.LOOK_BACK
        ]
        # gaps in the row of numbers that the box would wait at for ever
        withdrawn += [("down", one.epoch, one.seq) for one in gone if ("down", one.epoch, one.seq) not in withdrawn]
    ports.bell.ring()
    return Compared(tuple(up), tuple(withdrawn[-5000:]), again, missing, letters)


def begin_anew(ports: ServerPorts, tx: Connection, row: TenantRow) -> int:
    """Another key has claimed the row: a box that was reset. All of the retention time waits again, for the new key (protocol 8.6)."""
    now = ports.clock()
    since = now - ports.settings.retention
    letters = 0
    for one in packages.packages_after(tx, row.no, "down", 0, states=("built", "acknowledged", "fetched")):
        if one.state == "built" or _since(one, row, since):
            letters += packages.withdraw_package(tx, one.no, now)
        else:  # sealed to the key that is gone, and never offered to this one
            packages.set_package_state(tx, one.no, "withdrawn", now)
    tenants.forget_versions(tx, row.no)
    return letters


def withdraw_lost(ports: ServerPorts, row: TenantRow) -> int:
    """Packages that wait for the box and whose bytes are here no more: their letters wait again; returns how many packages.

    Fetching one would fail at every visit, and keep all behind it.
    """
    return withdraw_where(ports, row, lambda one: not _is_there(ports, one))


def withdraw_where(ports: ServerPorts, row: TenantRow, of_no_use: Callable[[PackageRow], bool]) -> int:
    """Packages that wait for the box and are ``of_no_use``: their letters wait again, to be packed anew; returns how many packages."""
    with ports.database.read() as tx:
        built = packages.packages_after(tx, row.no, "down", 0, states=("built",))
    found = [one for one in built if of_no_use(one)]
    if found:
        with ports.database.write() as tx:
            for one in found:
                if packages.get_package(tx, row.no, one.no).state == "built":
                    packages.withdraw_package(tx, one.no, ports.clock())
    return len(found)


def notice_restore(ports: ServerPorts, tx: Connection, row: TenantRow, epoch: int, highest: int) -> bool:
    """Whether the box knows a number of our present epoch that we never gave out: we are an older copy of ourselves.

    Then we take a new epoch, so that no id and no number is made twice, and the operator is told.
    """
    if epoch != ensure_identity(tx, ports.entropy) or highest < packages.next_seq(tx, row.no, epoch, "down"):
        return False
    _begin_epoch(ports, tx, row, epoch)
    return True


def hear_acknowledgement(ports: ServerPorts, tx: Connection, row: TenantRow, said: AckRecord) -> int | None:
    """The box has these packages for good: how many letters wait no longer because of it.

    None when it means other packages than ours by these numbers: one of us is an older copy. Then none of it is believed,
    and what it has not acknowledged is packed anew (protocol 8.6).
    """
    now = ports.clock()
    noticed = notice_restore(ports, tx, row, said.epoch, max([said.seq, *said.beyond]))
    ours = packages.check_of(tx, row.no, said.epoch, "down", said.seq, said.beyond) if said.check else None
    if noticed or ours is None or ours == said.check:
        delivered = packages.acknowledge(tx, row.no, said.epoch, "down", said.seq, said.beyond, now)
        if said.beyond and len(said.beyond) < MAX_BEYOND:  # else some may be left out for their number
            for one in packages.packages_after(
                tx, row.no, "down", said.seq, epoch=said.epoch, states=("acknowledged",)
            ):
                if one.seq < max(said.beyond) and one.seq not in said.beyond:
                    _offer_again(ports, tx, one, now)  # the box had it once, and has lost it
        return delivered
    _begin_epoch(ports, tx, row, said.epoch)
    return None


def _begin_epoch(ports: ServerPorts, tx: Connection, row: TenantRow, epoch: int) -> None:
    """Numbers of ``epoch`` mean one thing at the box and another one here: what it has not acknowledged gets others.

    A new epoch touches every box, so one of them can bring it about once a day at most.
    """
    now = ports.clock()
    for one in packages.packages_after(tx, row.no, "down", 0, epoch=epoch, states=("built",)):
        packages.withdraw_package(tx, one.no, now)
    last = kept_last(tx, "restored")
    if epoch != ensure_identity(tx, ports.entropy) or (last is not None and now - _A_DAY < last <= now):
        return
    renew_epoch(tx, ports.entropy)
    quarantine(
        tx,
        tenant=row.no,
        kind="restored",
        source="box",
        reason="a box knows what this database has forgotten: it was restored from a backup; a new epoch begins",
        raw_ref=None,
        key=f"restored:{epoch}",
        now=now,
    )


def _mend_up(
    ports: ServerPorts,
    tx: Connection,
    row: TenantRow,
    difference: Difference,
    up: list[tuple[int, int]],
    withdrawn: list[tuple[str, int, int]],
    now: datetime,
) -> None:
    """The box has sent a package of which we do not hold all."""
    if difference.theirs is None:
        return
    number = (difference.epoch, difference.seq)
    known = packages.find_package_by_seq(tx, row.no, difference.epoch, "up", difference.seq)
    if known is None:
        up.append(number)
        return
    if known.state == "held":
        return  # its letters are on their way into the mailbox
    will_be_told = outbound.is_on_its_way(tx, row.no, ToldRecord(known.sha256, 0))
    if known.state == "set_aside" and will_be_told and not difference.is_another:
        return  # the box packs its letters in smaller ones when it hears that
    if known.state == "set_aside" or difference.is_another:
        withdrawn.append(("up", *number))
        return
    if outbound.told_of(tx, row.no, "down", known.sha256):
        return  # it was read, and the box will hear what could not be taken
    if known.blob and _is_there(ports, known):
        packages.take_again(tx, known.no, known.blob, now)
        jobs.enqueue(tx, "unpack", f"{row.no}:{known.no}", {"package": known.no}, tenant=row.no, now=now, again=True)
        return
    packages.set_package_state(tx, known.no, ASKED_AGAIN, now)
    up.append(number)


def _mend_down(
    ports: ServerPorts,
    tx: Connection,
    row: TenantRow,
    difference: Difference,
    withdrawn: list[tuple[str, int, int]],
    now: datetime,
) -> int:
    """The box lacks letters of a package of ours, or has one that we do not know any more; returns how many are offered again."""
    known = packages.find_package_by_seq(tx, row.no, difference.epoch, "down", difference.seq)
    if known is None:
        withdrawn.append(("down", difference.epoch, difference.seq))
        return 0
    if known.state == "withdrawn":
        return 0
    if _offer_again(ports, tx, known, now):
        return 1
    withdrawn.append(("down", difference.epoch, difference.seq))
    return 0


def _offer_again(ports: ServerPorts, tx: Connection, package: PackageRow, now: datetime) -> bool:
    """Let a package wait for the box once more; without its bytes it is withdrawn, and its letters wait."""
    if package.blob and _is_there(ports, package):
        packages.set_package_state(tx, package.no, "built", now)
        return True
    carried = len(held.packed_letters(tx, package.no))
    gone = carried - packages.withdraw_package(tx, package.no, now)
    if gone > 0:  # their retention time is over
        quarantine(
            tx,
            tenant=package.tenant,
            kind="twin",
            source="box",
            reason=f"{gone} of the letters that the box has lost are kept here no more",
            raw_ref=None,
            key=f"gone:{package.no}",
            now=now,
        )
    return False


def _is_there(ports: ServerPorts, package: PackageRow) -> bool:
    try:
        return ports.blobs.size(package.blob) == package.size
    except (NotFound, Refused):  # Refused: it lies where boxes of version 1 look
        return False


def _beyond(tx: Connection, row: TenantRow, epoch: int, highest: int, now: datetime) -> bool:
    """Whether the box acknowledged packages that it does not count any more."""
    known = packages.packages_after(tx, row.no, "down", highest, epoch=epoch, states=("acknowledged",))
    return any(_counts(one, row, epoch, highest, now) for one in known)


def _since(package: PackageRow, row: TenantRow, moment: datetime) -> bool:
    """Whether a package is of ``moment`` or later; one from before its box was registered was dated by a wrong clock."""
    return package.changed_at >= moment or package.changed_at < row.created_at


def _counts(package: PackageRow, row: TenantRow, epoch: int, highest: int, now: datetime) -> bool:
    """Whether the box should know of an acknowledged package: it is of the last weeks, or behind others that the box lists, whatever our clock said then."""
    return _since(package, row, now - _LOOK_BACK) or (package.epoch == epoch and 0 < highest < package.seq)


def _letters(ours: Iterable[PackageDigest], theirs: Iterable[PackageDigest]) -> int:
    counts: dict[tuple[str, int, int], int] = {}
    for one in (*ours, *theirs):
        place = (one.direction, one.epoch, one.seq)
        counts[place] = max(counts.get(place, 0), one.count)
    return sum(counts.values())


def _note(tx: Connection, row: TenantRow, missing: int, letters: int, now: datetime) -> None:
    set_option(tx, row.no, HELD_OPTION, {"missing": missing, "letters": letters, "at": to_micros(now)})


def compared_fields(found: Compared) -> dict[str, Any]:
    """As protocol 4.13 writes it."""
    return {
        "up": [list(one) for one in found.up],
        "withdrawn": [list(one) for one in found.withdrawn],
        "again": found.again,
        "missing": found.missing,
        "letters": found.letters,
    }
