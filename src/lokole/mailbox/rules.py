"""Simple rules: when a letter comes from, goes to or is called something, it is put into a folder, starred or passed on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from lokole.mail.errors import Refused
from lokole.mail.model import Account, Address, Contact, Email, FolderName
from lokole.mailbox.database import Connection
from lokole.mailbox.folders import list_folders
from lokole.mailbox.schema import rule
from lokole.mailbox.words import fold, storable

FIELDS = ("from", "to", "subject")
ACTIONS = ("move", "star", "forward")
MAX_RULES = 50
_MAX_WORDS = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """``target`` is the id of a folder to move to, or an address to pass on to."""

    no: int
    field: str
    words: str
    action: str
    target: str = ""

    def applies(self, letter: Email) -> bool:
        """Whether the field of ``letter`` contains the words; case and accents do not count."""
        wanted = fold(self.words).strip()
        return bool(wanted) and wanted in fold(self._text(letter))

    def _text(self, letter: Email) -> str:
        if self.field == "subject":
            return letter.subject
        people: Iterable[Contact] = (letter.sender,) if self.field == "from" else (*letter.to, *letter.cc)
        return ", ".join(str(one) for one in people)


def folders_to_move_to(tx: Connection, person: Account) -> list[tuple[str, str]]:
    """Ids and names of the folders a rule may put letters into: the archive, whose name the pages know, and the person's own."""
    return [(FolderName.ARCHIVE.value, ""), *((one.id, one.name) for one in list_folders(tx, person))]


def list_rules(tx: Connection, person: Account) -> list[Rule]:
    """The person's rules in the order in which they were made, which is that in which they apply."""
    mine = rule.c.tenant == person.tenant, rule.c.account == person.no
    rows = tx.execute(select(rule).where(*mine).order_by(rule.c.no))
    return [Rule(int(row.no), row.field, row.words, row.action, row.target) for row in rows]


def add_rule(tx: Connection, person: Account, field: str, words: str, action: str, target: str) -> None:
    """Make a rule, once: one that is there already stays as it is. Raises Refused: ``words``, ``field``, ``action``, ``target`` (no such folder), ``address`` (to pass on to; oneself is none), ``too-many``."""
    words = " ".join(words.split())[:_MAX_WORDS]
    if not words:
        raise Refused("a rule needs words to look for", code="words")
    if field not in FIELDS or action not in ACTIONS:
        raise Refused("no such rule", code="field" if field not in FIELDS else "action")
    if action == "move" and target not in {id for id, _name in folders_to_move_to(tx, person)}:
        raise Refused("no such folder", code="target")
    if action == "forward":
        address = Address.parse(target)
        if address.key == person.address.key:
            raise Refused("letters cannot be passed on to oneself", code="address")
        target = str(address)
    if action == "star":
        target = ""
    words, target = storable(words), storable(target)
    known = list_rules(tx, person)
    if any((one.field, one.words, one.action, one.target) == (field, words, action, target) for one in known):
        return  # a button pressed twice, or a form that came once more: a second one would pass each letter on twice
    if len(known) >= MAX_RULES:
        raise Refused("too many rules", code="too-many")
    tx.execute(
        insert(rule).values(
            tenant=person.tenant, account=person.no, field=field, words=words, action=action, target=target
        )
    )


def remove_rule(tx: Connection, person: Account, no: int) -> bool:
    """Take a rule away; False when it is not there."""
    mine = rule.c.tenant == person.tenant, rule.c.account == person.no, rule.c.no == no
    return tx.execute(delete(rule).where(*mine)).rowcount == 1
