"""The boxes of a simulation and the people around them: who lives where, what they write, read and delete.

People use the same functions as the pages do (``webmail/views/compose.py``): somebody who sees no answer presses the button again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from lokole.device.register import register
from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import Attachment, Contact, Email
from lokole.mailbox import accounts, attachments, entries, identity, letters, lists, seen
from lokole.ports.identity import Caller
from lokole.server import devices
from lokole.simulate.disk import Disk
from lokole.simulate.faults import PowerCut
from lokole.simulate.ledger import Ledger, marks_in, refusals_on, subject_of, text_of
from lokole.simulate.link import Town
from lokole.simulate.machines import BoxMachine, ServerMachine, World

_FIRST = ("ann", "bob", "cleo")
_PATIENCE = 3
#: longer than a disk is full
_GREAT_PATIENCE = 20
_BACKUPS = 6


@dataclass
class Site:
    """A village: the machines that serve its domain (two after somebody copied the card), and who lives there."""

    name: str
    domain: str
    secret: str
    machines: list[BoxMachine]
    people: list[str] = field(default_factory=list)
    backups: list[tuple[int, Disk]] = field(default_factory=list)

    def address(self, name: str) -> str:
        return f"{name}@{self.domain}"


class Villages:
    """All sites; ``rng`` decides what people do."""

    def __init__(self, world: World, rng: Random, ledger: Ledger, town: Town, server: ServerMachine) -> None:
        self._world = world
        self._rng = rng
        self._ledger = ledger
        self._town = town
        self._server = server
        self._nonce = 0
        self._copies = 0
        self.sites: list[Site] = []

    def found(self, name: str) -> Site:
        """A new village, registered, with its first people."""
        domain = f"{name}.lokole.example"
        operator = Caller("operator", may_override=True)
        devices.register(self._server.ports, operator, domain)
        self._server.work()
        details = devices.details(self._server.ports, operator, domain)
        assert details.code is not None
        assert details.webhook is not None
        machine = BoxMachine(self._world, name, self._world.new_disk(name), self._town, self._server)
        register(machine.box, details.code, server_url="http://server.invalid")
        site = Site(name, domain, details.webhook, [machine])
        self.sites.append(site)
        for one in _FIRST:
            self.sign_up(site, one)
        return site

    # --- people ------------------------------------------------------------------------------

    def sign_up(self, site: Site, name: str) -> None:
        """Somebody makes an account, on every machine of the place that does not know them."""
        for machine in site.machines:
            for _ in range(_GREAT_PATIENCE):
                try:
                    box = machine.ensure_on()
                    with box.ports.database.write() as tx:
                        if accounts.find_account(tx, box.tenant, name) is None:
                            accounts.create_account(tx, box.tenant, name, password_hash=None, now=machine.clock())
                    break
                except (PowerCut, Temporary):
                    continue
        if name not in site.people:
            site.people.append(name)

    def somebody(self) -> str:
        """An address at any of the villages."""
        site = self._rng.choice(self.sites)
        return site.address(self._rng.choice(site.people))

    def write(self, site: Site) -> None:
        """Somebody of ``site`` writes a letter, to one or several people near and far; now and then the same one twice."""
        rng = self._rng
        wanted = [self._recipient(site) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        wanted = list(dict.fromkeys(wanted))
        split = [rng.choice(("to", "to", "cc", "bcc")) for _ in wanted]
        if "to" not in split and rng.random() < 0.7:
            split[0] = "to"
        mark = self._ledger.new_mark()
        files: tuple[Attachment, ...] = ()
        if rng.random() < 0.2:
            # now and then one that is more than a chunk on the line
            content = rng.randbytes(40_000) if rng.random() < 0.2 else b"notes " * rng.randrange(1, 4)
            files = (Attachment("notes.txt", content, "text/plain"),)
        contacts = {
            role: tuple(Contact(one) for one, at in zip(wanted, split, strict=True) if at == role)
            for role in ("to", "cc", "bcc")
        }
        email = Email(
            Contact(""),
            to=contacts["to"],
            cc=contacts["cc"],
            bcc=contacts["bcc"],
            subject=subject_of(mark),
            body=f"<p>{text_of(mark)}</p>",
            attachments=files,
        )
        machine, name = rng.choice(site.machines), rng.choice(site.people)
        for _ in range(2 if rng.random() < 0.1 else 1):
            if self._press_send(machine, name, email):
                self._world.tell(f"{machine.name}: {name} writes {mark} to {', '.join(wanted)}")
                self._ledger.accept(mark, wanted, writer=site.address(name))
            else:
                self._world.tell(f"{machine.name}: {name} cannot write {mark}")

    def _recipient(self, site: Site) -> str:
        rng = self._rng
        dice = rng.random()
        if dice < 0.25:
            return site.address(rng.choice(site.people))
        if dice < 0.5:
            return self.somebody()
        if dice < 0.95:
            return f"friend{rng.randrange(6)}@world.example"
        return f"nobody{rng.randrange(3)}@world.example"

    def _press_send(self, machine: BoxMachine, name: str, email: Email) -> bool:
        """The form is posted until it is answered; its nonce makes a repeat harmless. False when the person gives up."""
        self._nonce += 1
        nonce = f"form-{self._nonce}"
        for _ in range(_PATIENCE):
            try:
                box = machine.ensure_on()
                row = box.row()
                files = attachments.put_attachments(box.ports.blobs, row.domain, email.attachments)
                with box.ports.database.write() as tx:
                    person = accounts.find_account(tx, row.no, name)
                    assert person is not None
                    if seen.remember(tx, row.no, "form", nonce, machine.clock()):
                        id = identity.next_email_id(tx, row.device_id)
                        letters.write_letter(tx, row.no, person, email, id=id, now=machine.clock(), attachments=files)
                return True
            except (PowerCut, Temporary):
                continue
            except Refused as error:
                self._world.tell(f"{machine.name}: refused, {error.code}")
                return False
        # they gave up; whether it was sent after all they see in their outbox
        return self._is_sent(machine, nonce)

    def _is_sent(self, machine: BoxMachine, nonce: str) -> bool:
        return bool(machine.disk.rows("SELECT 1 FROM seen WHERE kind = 'form' AND key = ?", nonce))

    def read_and_delete(self, site: Site) -> None:
        """Somebody looks at a letter, and may throw it away."""
        machine, name = self._rng.choice(site.machines), self._rng.choice(site.people)
        try:
            box = machine.ensure_on()
            with box.ports.database.write() as tx:
                person = accounts.find_account(tx, box.tenant, name)
                if person is None:
                    return
                rows = lists.list_folder(tx, person, "inbox").rows
                if rows:
                    flag = "deleted" if self._rng.random() < 0.3 else "read"
                    no = self._rng.choice(rows).no
                    entries.set_flag(tx, person, no, flag, True, box.row().device_id)
        except (PowerCut, Temporary):
            self._world.tell(f"{machine.name}: {name} sees an error")

    # --- cards -------------------------------------------------------------------------------

    def back_up(self, site: Site, night: int) -> None:
        """Somebody copies the card and puts the copy away."""
        self._copies += 1
        disk = site.machines[0].disk.copy(self._world.folder / f"{site.name}-copy{self._copies}.db")
        site.backups.append((night, disk))
        while len(site.backups) > _BACKUPS:
            site.backups.pop(0)[1].remove()

    def restore(self, site: Site, dice: float) -> None:
        """The card is dead; a backup is put in. What was on the dead card only is excused."""
        night, backup = site.backups[int(dice * len(site.backups))]
        machine = site.machines[0]
        machine.take_away()
        lost = machine.disk
        self._excuse(site, lost, backup)
        self._copies += 1
        machine.put_in(backup.copy(self._world.folder / f"{site.name}-copy{self._copies}.db"))
        lost.remove()
        self._world.tell(f"{machine.name}: restored from the backup of night {night}")
        machine.ensure_on()
        for name in site.people:
            self.sign_up(site, name)

    def clone(self, site: Site) -> None:
        """The card is copied, and both copies are used from now on."""
        self._copies += 1
        original = site.machines[0]
        name = f"{site.name}-twin"
        disk = original.disk.copy(self._world.folder / f"{site.name}-copy{self._copies}.db")
        self._world.tell(f"{original.name}: its card is copied for {name}")
        site.machines.append(BoxMachine(self._world, name, disk, self._town, self._server))

    def _excuse(self, site: Site, lost: Disk, backup: Disk) -> None:
        self._ledger.told |= refusals_on(lost)
        # two letters may have one id after an earlier restore (protocol 8.8)
        kept = {(bytes(id), body) for id, body in backup.rows("SELECT id, body FROM email")}
        query = (
            "SELECT m.id, m.body, r.address, r.state, w.state FROM email m JOIN recipient r ON r.email = m.order_no"
            " LEFT JOIN waiting w ON w.email = m.order_no AND w.direction = 'up'"
        )
        for id, body, address, state, way in lost.rows(query):
            if (bytes(id), body) in kept or (state != "local" and way == "delivered"):
                continue
            for mark in marks_in(body):
                self._ledger.excuse((mark, address))
