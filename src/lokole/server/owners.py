"""Whose a domain is: handing it over, and what was done with it."""

from __future__ import annotations

import re
from typing import Any

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import normal_domain
from lokole.mailbox import domain_acts, tenants
from lokole.ports.identity import Caller
from lokole.server.devices import own_row
from lokole.server.ports import ServerPorts

#: a login at GitHub, or the name of the settings
_OWNER = re.compile(r"github:[a-z0-9](?:-?[a-z0-9])*(?:_[a-z0-9]+)?")


def hand_over(ports: ServerPorts, caller: Caller, domain: str, owner: str) -> str:
    """Make ``domain`` somebody else's; gives the name under which they are known here.

    ``owner`` is ``github:`` and a login, or the operator's name. Whoever hands a domain over may do nothing with it any more.
    Raises NotFound, and Refused (``not-yours``, or ``owner`` for a name that nobody can sign in with).
    """
    named = owner if owner == ports.settings.registration_username else owner.casefold()
    if named != ports.settings.registration_username and (
        ports.settings.github_organization is None or not _OWNER.fullmatch(named) or len(named) > 100
    ):
        raise Refused("nobody signs in under this name", code="owner", field="owner")
    with ports.database.write() as tx:
        row = own_row(tx, caller, domain)
        tenants.set_owner(tx, row.no, named)
        detail = f"{row.owner} -> {named}"
        domain_acts.note_domain(
            tx, row.domain, domain_acts.HANDED_OVER, ports.clock(), actor=caller.name, detail=detail
        )
    return named


def acts(ports: ServerPorts, caller: Caller, domain: str) -> list[dict[str, Any]]:
    """What was done with ``domain``: by its owner's leave since it was registered last, for callers who may override all of it.

    Raises NotFound (also for an owner whose domain is gone) and Refused (``not-yours``).
    """
    try:
        name = normal_domain(domain)
    except Refused:
        raise NotFound("this domain is not registered") from None
    with ports.database.read() as tx:
        found = domain_acts.acts_of(tx, name)
        if not caller.may_override:
            own_row(tx, caller, name, ready=False)
            starts = [n for n, one in enumerate(found) if one.act == domain_acts.REGISTERED]
            found = found[starts[-1] if starts else 0 :]
    if not found:
        raise NotFound("this domain was never registered")
    return [{"at": one.at.isoformat(), "actor": one.actor, "act": one.act, "detail": one.detail} for one in found]
