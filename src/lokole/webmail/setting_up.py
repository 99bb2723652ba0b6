"""Setting a new box up, step by step; where it stands is the option ``set_up``, so that it goes on after a power cut.

Only a box that was new with this release has the option; a step may be left for later or gone back to, and once done there is no way back in.
"""

from __future__ import annotations

from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option, set_option

OPTION = "set_up"
STEPS = ("place", "hours", "server", "limits")
DONE = "done"


def step(tx: Connection, tenant_no: int) -> str | None:
    """The step that is next, or None when nothing is to be set up (any more)."""
    found = get_option(tx, tenant_no, OPTION, None)
    return found if found in STEPS else None


def pending(tx: Connection, tenant_no: int) -> bool:
    """Whether there is a step."""
    return step(tx, tenant_no) is not None


def go_to(tx: Connection, tenant_no: int, name: str | None) -> None:
    """The step ``name`` is next; None when all were gone through."""
    set_option(tx, tenant_no, OPTION, name or DONE)
