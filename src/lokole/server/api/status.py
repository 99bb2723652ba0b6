"""The status page at ``/status``: its built files, where its server is, and a summary for a browser without scripts.

The files hold nothing that is secret; what they show, they ask of the API with the token or password of who looks.
The summary asks for the same by HTTP basic authentication (RFC 7617), which every browser can do without a script.
"""

from __future__ import annotations

import base64
import binascii
import logging

from connexion.exceptions import OAuthProblem
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from lokole.mail.errors import Temporary
from lokole.ports.identity import Caller
from lokole.server import fleet, status_files
from lokole.server.attempts import Attempts, network_of
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem
from lokole.server.summary import away, summary

log = logging.getLogger(__name__)

_SUMMARY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
}


def routes(ports: ServerPorts) -> list[Route]:
    """What answers below ``/status``."""
    attempts = Attempts(ports, "sign-in", most=10, seconds=60)

    def to_page(_request: Request) -> Response:
        return RedirectResponse("/status/", 307)

    def file(request: Request) -> Response:
        found = status_files.get_file(request.path_params.get("name", ""))
        if found is None:
            raise Problem(404, "there is no such file")
        accepted = request.headers.get("accept-encoding", "")
        if found.small is not None and "gzip" in accepted:
            return Response(found.small, headers={**found.headers, "Content-Encoding": "gzip"}, media_type=found.type)
        return Response(found.body, headers=dict(found.headers), media_type=found.type)

    def config(_request: Request) -> Response:
        return Response(
            status_files.config(github=ports.sign_in is not None),
            headers={"Cache-Control": "no-cache"},
            media_type="application/json",
        )

    def short(request: Request) -> Response:
        try:
            with attempts.counting_failures(network_of(request.scope)):
                caller = _caller(ports, request.headers.get("authorization"))
            told = fleet.fleet(ports, caller)
        except Temporary as error:
            # a person reads it, so it is a page and no problem document
            log.error("the summary could not be made: %s", error)
            return HTMLResponse(away(), 503, headers=_SUMMARY_HEADERS | {"Retry-After": "60"})
        return HTMLResponse(summary(told, ports.clock()), headers=_SUMMARY_HEADERS)

    return [
        Route("/status", to_page, methods=["GET"]),
        Route("/status/", file, methods=["GET"]),
        Route("/status/config.json", config, methods=["GET"]),
        Route("/status/summary", short, methods=["GET"]),
        Route("/status/{name:path}", file, methods=["GET"]),
    ]


def _caller(ports: ServerPorts, authorization: str | None) -> Caller:
    """Who asks for the summary; raises Problem 401 without a name and password, which makes a browser ask for them."""
    scheme, _, pair = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        raise Problem(401, "the summary asks for the name and password of the API")
    try:
        name, colon, password = base64.b64decode(pair, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, colon, password = "", "", ""
    caller = ports.identity.by_password(name, password) if colon else None
    if caller is None:
        raise OAuthProblem(detail="this name and password are not known")
    return caller
