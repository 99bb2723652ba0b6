"""``/metrics`` for whoever has its token; without one in the settings it is not there."""

from __future__ import annotations

import hmac

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lokole.mail.errors import NotFound, Refused
from lokole.server.attempts import Attempts, network_of
from lokole.server.ports import ServerPorts
from lokole.server.prometheus import MEDIA_TYPE, write_metrics


def routes(ports: ServerPorts) -> list[Route]:
    """The routes of this module."""
    attempts = Attempts(ports, "metrics", most=20, seconds=60)

    def answer(authorization: str, network: str) -> Response:
        token = ports.settings.metrics_token
        if token is None:
            raise NotFound("nothing is measured here")
        with attempts.counting_failures(network):
            kind, _, shown = authorization.partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
                raise Refused("show the token of the settings", code="authorization")
        return Response(write_metrics(ports), media_type=MEDIA_TYPE)

    async def scrape(request: Request) -> Response:
        return await run_in_threadpool(answer, request.headers.get("authorization", ""), network_of(request.scope))

    return [Route("/metrics", scrape, methods=["GET"])]
