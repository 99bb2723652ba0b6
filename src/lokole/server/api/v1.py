"""Boxes of the first Lokole: its two calls, in its words (protocol 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from lokole.server import v1_boxes
from lokole.server.ports import ServerPorts


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""

    def v1_upload(client_id: str, body: Mapping[str, Any]) -> Response:
        v1_boxes.take_upload(ports, client_id, body["resource_id"])
        return JSONResponse("uploaded")

    def v1_download(client_id: str, compression: str = "gz") -> Response:
        offered = v1_boxes.offer_download(ports, client_id, compression)
        if offered is None:
            return JSONResponse({"resource_id": None})
        # runs only when the whole answer went out: a broken answer leaves everything as it was
        answered = BackgroundTask(v1_boxes.answered, ports, offered)
        return JSONResponse({"resource_id": offered.name}, background=answered)

    return {"v1_upload": v1_upload, "v1_download": v1_download}
