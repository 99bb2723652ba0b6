"""Whether the server is there, what waits, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from lokole.server import fleet, metrics
from lokole.server.ports import ServerPorts


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""

    def ping() -> Response:
        # the status page asks from an origin of its own; nothing else here may be asked from elsewhere
        return JSONResponse("pong", headers={"Access-Control-Allow-Origin": "*"})

    def count_pending(domain: str) -> Response:
        return JSONResponse({"pending_emails": metrics.count_pending(ports, domain)})

    def count_users(domain: str) -> Response:
        return JSONResponse({"users": metrics.count_users(ports, domain)})

    def show_trouble(token_info: Mapping[str, Any]) -> Response:
        return JSONResponse(metrics.trouble(ports, token_info["caller"]))

    def list_boxes(token_info: Mapping[str, Any]) -> Response:
        return JSONResponse(fleet.fleet(ports, token_info["caller"]))

    def show_box(domain: str, token_info: Mapping[str, Any]) -> Response:
        return JSONResponse(fleet.box(ports, token_info["caller"], domain))

    return {
        "ping": ping,
        "count_pending": count_pending,
        "count_users": count_users,
        "show_trouble": show_trouble,
        "list_boxes": list_boxes,
        "show_box": show_box,
    }
