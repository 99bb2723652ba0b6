"""The addresses that letters of a domain no longer go to, for its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from lokole.mailbox import suppressions, tenants
from lokole.server import devices
from lokole.server.ports import ServerPorts


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""

    def list_suppressed(domain: str, token_info: Mapping[str, Any]) -> Response:
        devices.details(ports, token_info["caller"], domain)
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=domain)
            found = [] if row is None else suppressions.list_suppressed(tx, row.no)
        return JSONResponse(
            {
                "suppressed": [
                    {"address": one.address, "cause": one.cause, "said": one.said, "at": one.at.isoformat()}
                    for one in found
                ]
            }
        )

    def lift_suppression(domain: str, address: str, token_info: Mapping[str, Any]) -> Response:
        devices.details(ports, token_info["caller"], domain)
        with ports.database.write() as tx:
            row = tenants.find_tenant(tx, domain=domain)
            suppressions.lift(tx, -1 if row is None else row.no, address)
        return JSONResponse("lifted")

    return {"list_suppressed": list_suppressed, "lift_suppression": lift_suppression}
