"""Domains: who may register, list, see and delete them, and how a box claims one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from connexion import request as current_request
from connexion.exceptions import OAuthProblem
from connexion.lifecycle import ConnexionRequest
from connexion.security import BasicSecurityHandler, BearerSecurityHandler
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from lokole.mail.errors import NotFound
from lokole.ports.identity import Caller
from lokole.ports.sign_in import SignIn
from lokole.server import devices
from lokole.server.attempts import Attempts, network_of
from lokole.server.keys import server_public
from lokole.server.ports import ServerPorts
from lokole.sync.signing import encode_key


def handlers(ports: ServerPorts) -> dict[str, Callable[..., Response]]:
    """The operations of this module by their names in ``openapi.yaml``."""
    claims = Attempts(ports, "claim", most=20, seconds=600)
    begun = Attempts(ports, "github", most=20, seconds=600)
    asked = Attempts(ports, "github-token", most=20, seconds=600)

    def list_domains(token_info: Mapping[str, Any]) -> Response:
        domains = devices.list_domains(ports, token_info["caller"])
        return JSONResponse({"clients": [{"domain": domain} for domain in domains]})

    def register_domain(body: Mapping[str, Any], token_info: Mapping[str, Any]) -> Response:
        devices.register(ports, token_info["caller"], body["domain"])
        return JSONResponse("accepted", 201)

    def get_domain(domain: str, token_info: Mapping[str, Any]) -> Response:
        return _shown(devices.details(ports, token_info["caller"], domain))

    def delete_domain(domain: str, token_info: Mapping[str, Any]) -> Response:
        devices.delete(ports, token_info["caller"], domain)
        return JSONResponse("deleted")

    def revoke_keys(domain: str, token_info: Mapping[str, Any]) -> Response:
        return _shown(devices.revoke_keys(ports, token_info["caller"], domain))

    def claim(body: Mapping[str, Any]) -> Response:
        who = network_of(current_request.scope)
        with claims.counting_failures(who):
            row = devices.claim(ports, body["code"], body["public_key"], body.get("reads"))
        key = encode_key(server_public(ports))
        return JSONResponse({"device_id": row.device_id, "domain": row.domain, "server_key": key})

    def begin_github() -> Response:
        sign_in = _offered(ports)
        begun.count(network_of(current_request.scope))
        return JSONResponse(dataclasses.asdict(sign_in.begin()), headers=_SECRET)

    def finish_github(body: Mapping[str, Any]) -> Response:
        sign_in = _offered(ports)
        with asked.counting_failures(network_of(current_request.scope)):
            found = sign_in.finish(body["device_code"])
        return JSONResponse({"token": found.token, "interval": found.interval}, headers=_SECRET)

    return {
        "begin_github": begin_github,
        "finish_github": finish_github,
        "list_domains": list_domains,
        "register_domain": register_domain,
        "get_domain": get_domain,
        "delete_domain": delete_domain,
        "revoke_keys": revoke_keys,
        "claim": claim,
    }


def security(ports: ServerPorts) -> dict[str, type]:
    """How Connexion learns who is calling: by password or by token, with a limit on failures."""
    attempts = Attempts(ports, "sign-in", most=10, seconds=60)

    async def by_password(username: str, password: str, request: ConnexionRequest) -> dict[str, Any]:
        return await _caller(request, lambda: ports.identity.by_password(username, password))

    async def by_token(token: str, request: ConnexionRequest) -> dict[str, Any]:
        return await _caller(request, lambda: ports.identity.by_token(token))

    async def _caller(request: ConnexionRequest, ask: Callable[[], Caller | None]) -> dict[str, Any]:
        def look() -> Caller:
            with attempts.counting_failures(network_of(request.scope)):
                caller = ask()
                if caller is None:
                    raise OAuthProblem(detail="this name and password, or this token, are not known")
                return caller

        caller = await run_in_threadpool(look)
        return {"sub": caller.name, "caller": caller}

    class Basic(BasicSecurityHandler):  # type: ignore[misc]  # Connexion ships no types
        def _resolve_func(self, security_scheme: object) -> Callable[..., Any]:
            return by_password

    class Bearer(BearerSecurityHandler):  # type: ignore[misc]
        def _resolve_func(self, security_scheme: object) -> Callable[..., Any]:
            return by_token

    return {"basic": Basic, "bearer": Bearer}


_SECRET = {"Cache-Control": "no-store"}


def _offered(ports: ServerPorts) -> SignIn:
    if ports.sign_in is None:
        raise NotFound("nobody signs in here by GitHub")
    return ports.sign_in


def _shown(found: devices.Details) -> Response:
    fields = dataclasses.asdict(found)
    return JSONResponse({name: value for name, value in fields.items() if value is not None})
