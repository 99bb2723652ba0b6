"""What the people who look after a box decide about coming in: who may sign up, when shared telephones forget, the first letter.

Kept as options of the tenant; without one, the settings count.
"""

from __future__ import annotations

from typing import Any

from lokole.mailbox.database import Connection
from lokole.mailbox.options import forget_option, get_option, set_option
from lokole.webmail.parts import parts

SIGN_UP, SHARED_MINUTES, WELCOME = "sign_up", "shared_minutes", "welcome"
MIN_SHARED, MAX_SHARED = 2, 120
MAX_SUBJECT, MAX_WELCOME = 200, 4000


def may_sign_up() -> bool:
    """Whether anybody near the box may make themselves an address now."""
    tenant = parts().tenants.here
    if tenant is None or not parts().settings.sign_up:
        return False
    with parts().ports.database.read() as tx:
        return get_option(tx, tenant, SIGN_UP, True) is not False


def shared_minutes(tx: Connection, tenant_no: int) -> int:
    """How long a telephone that is not somebody's own stays signed in without a touch."""
    found = get_option(tx, tenant_no, SHARED_MINUTES)
    return found if isinstance(found, int) else parts().settings.shared_minutes


def welcome_text(tx: Connection, tenant_no: int, language: str) -> tuple[str, str] | None:
    """Subject and text of the first letter in ``language`` when the organisation has written its own, else None."""
    found = get_option(tx, tenant_no, WELCOME)
    own = found.get(language) if isinstance(found, dict) else None
    return (str(own["subject"]), str(own["text"])) if isinstance(own, dict) else None


def set_welcome(tx: Connection, tenant_no: int, language: str, subject: str, text: str) -> None:
    """The organisation's own first letter in ``language``; an empty text brings Lokole's back."""
    found: Any = get_option(tx, tenant_no, WELCOME)
    known = dict(found) if isinstance(found, dict) else {}
    known.pop(language, None)
    if text.strip():
        known[language] = {"subject": subject.strip()[:MAX_SUBJECT], "text": text.strip()[:MAX_WELCOME]}
    if known:
        set_option(tx, tenant_no, WELCOME, known)
    else:
        forget_option(tx, tenant_no, WELCOME)
