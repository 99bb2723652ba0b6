"""A name in Lokole suggested from how somebody is called: "Mireille Ilunga" may become ``mireille`` or ``mireille.ilunga``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import select

from lokole.mail.errors import Refused
from lokole.mailbox.accounts import check_free, normal_name
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import account
from lokole.mailbox.words import fold

_LONGEST = 24
_NUMBERS = range(2, 100)


def suggest_names(tx: Connection, tenant_no: int, called: str, *, wanted: str = "", count: int = 4) -> list[str]:
    """Up to ``count`` free names, the plainest first; ``wanted`` is what the person tried, so that near it comes first.

    Empty when nothing of either can be written in a-z, as with names in other scripts.
    """
    base = _words(wanted.partition("@")[0])
    own = _words(called)
    candidates = list(dict.fromkeys([*_mixed(base), *_mixed(own), *_mixed(base + own)]))
    found: list[str] = []
    stems = [".".join(part)[:_LONGEST].strip(".") for part in (base, own[:1]) if part]
    numbered = [f"{stem}{n}" for n in _NUMBERS for stem in stems]
    taken = _taken(tx, tenant_no, [*candidates, *numbered])
    for name in [*candidates, *numbered]:
        if name not in taken and _allowed(name) and name not in found:
            found.append(name)
        if len(found) == count:
            break
    return found


def is_free(tx: Connection, tenant_no: int, name: str) -> None:
    """Raises Refused as ``accounts.create_account`` would, and changes nothing."""
    check_free(tx, tenant_no, normal_name(name))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", fold(text[:100]).replace("'", ""))[:4]


def _mixed(words: list[str]) -> Iterator[str]:
    if not words:
        return
    first, rest = words[0], words[1:]
    yield first[:_LONGEST]
    if rest:
        yield f"{first}.{rest[-1]}"[:_LONGEST].strip(".")
        yield f"{first[0]}.{rest[-1]}"[:_LONGEST].strip(".")
        yield f"{rest[-1]}.{first}"[:_LONGEST].strip(".")
        yield f"{first}{rest[-1][0]}"[:_LONGEST]


def _allowed(name: str) -> bool:
    try:
        return len(normal_name(name)) > 1
    except Refused:
        return False


def _taken(tx: Connection, tenant_no: int, names: list[str]) -> set[str]:
    rows = tx.execute(select(account.c.name).where(account.c.tenant == tenant_no, account.c.name.in_(names)))
    return {row.name for row in rows}
