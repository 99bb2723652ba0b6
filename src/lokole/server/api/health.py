"""Whether the server is there, what waits, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import select
from starlette.responses import JSONResponse, Response

from lokole.mail.errors import Temporary
from lokole.server import fleet, metrics
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem

#: the status page asks these from an origin of its own; nothing else here may be asked from elsewhere
_FROM_ELSEWHERE = {"Access-Control-Allow-Origin": "*"}


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""

    def ping() -> Response:
        # this process lives: whoever starts it anew must not do so because the database is away
        return JSONResponse("pong", headers=_FROM_ELSEWHERE)

    def ready() -> Response:
        try:
            with ports.database.read() as tx:
                tx.execute(select(1))
        except Temporary:
            headers = _FROM_ELSEWHERE | {"Retry-After": "60"}
            return Problem(503, "the database does not answer", code="temporary", headers=headers).response()
        return JSONResponse("ready", headers=_FROM_ELSEWHERE)

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
        "ready": ready,
        "count_pending": count_pending,
        "count_users": count_users,
        "show_trouble": show_trouble,
        "list_boxes": list_boxes,
        "show_box": show_box,
    }
