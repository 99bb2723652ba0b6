"""What is held back of a domain's mail, for its owner: addresses that letters no longer go to, and letters that stand apart as junk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from lokole.mail.errors import NotFound
from lokole.mailbox import suppressions, tenants
from lokole.mailbox.tenants import TenantRow
from lokole.server import devices, junk, lifting
from lokole.server.ports import ServerPorts


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""

    def owned(domain: str, token_info: Mapping[str, Any]) -> TenantRow:
        devices.details(ports, token_info["caller"], domain)
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=domain)
        if row is None:
            raise NotFound("this domain is not registered")
        return row

    def list_suppressed(domain: str, token_info: Mapping[str, Any]) -> Response:
        row = owned(domain, token_info)
        with ports.database.read() as tx:
            found = suppressions.list_suppressed(tx, row.no)
        listed = [
            {"address": one.address, "cause": one.cause, "said": one.said, "at": one.at.isoformat()} for one in found
        ]
        return JSONResponse({"suppressed": listed})

    def lift_suppression(domain: str, address: str, token_info: Mapping[str, Any]) -> Response:
        row = owned(domain, token_info)
        lifting.lift(ports, row, address)
        return JSONResponse("lifted")

    def list_junk(domain: str, token_info: Mapping[str, Any]) -> Response:
        found = junk.list_junk(ports, owned(domain, token_info))
        listed = [
            {"number": one.no, "sender": one.sender, "reason": one.reason, "at": one.at.isoformat()} for one in found
        ]
        return JSONResponse({"junk": listed})

    def let_junk_through(domain: str, number: int, token_info: Mapping[str, Any]) -> Response:
        junk.let_through(ports, owned(domain, token_info), number)
        return JSONResponse("taken in")

    return {
        "list_suppressed": list_suppressed,
        "lift_suppression": lift_suppression,
        "list_junk": list_junk,
        "let_junk_through": let_junk_through,
    }
