"""The outer application: what streams first, then the web pages, then the API that ``openapi.yaml`` describes.

Starlette stands outside, because a webhook's body or a package may be many megabytes and has to reach the disk
before anything looks into it; Connexion, which validates against the document, reads whole bodies into memory.
Operations marked ``x-streamed`` in the document are answered by routes of our own and taken out of what Connexion gets;
the document that is served names them all.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from importlib import resources
from typing import Any, cast

import yaml
from a2wsgi import WSGIMiddleware
from connexion import AsyncApp
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lokole.mail.errors import LokoleError
from lokole.ports.telemetry import Telemetry
from lokole.server import logs
from lokole.server.api import (
    carry,
    events,
    exchange,
    health,
    held_back,
    intake,
    json_body,
    outside_services,
    register,
    scrape,
    start,
    status,
    v1,
)
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem, Words, problem_of

log = logging.getLogger(__name__)

#: The largest body of a request that is not streamed, in bytes.
MAX_PLAIN_BODY = 1024 * 1024
_STREAMED = "x-streamed"
#: the same ten times faster, where the library was built with it
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def make_app(
    ports: ServerPorts,
    *,
    pages: Any = None,
    links: Mapping[str, str] | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """The ASGI application of the server.

    ``pages`` is the WSGI application of the web pages, mounted at ``/web``; ``links`` are further addresses that
    the start page names. ``on_start`` and ``on_stop`` run with the application's lifespan.
    """
    logs.quieten()
    document = read_document()
    api = _make_api(ports, document)
    routes: list[BaseRoute] = [
        *outside_services.routes(ports),
        *events.routes(ports),
        *intake.routes(ports),
        *exchange.routes(ports),
        *carry.routes(ports, pages),
        *status.routes(ports),
        *scrape.routes(ports),
        *_console_routes(ports.settings.console),
        Route("/openapi.json", _json(document), methods=["GET"]),
        Route("/", start.page(ports, links or {}, web=pages is not None), methods=["GET"]),
    ]
    if pages is not None:
        routes.append(Mount("/web", app=cast(ASGIApp, WSGIMiddleware(pages, workers=4))))
    routes.append(Mount("/", app=_limited(api)))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with _lifespan_of(api):
            on_start()
            try:
                yield
            finally:
                on_stop()

    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=_answers())
    return _Guard(_asked_from(ports.settings.status_page_origins, app), ports.telemetry)


def _asked_from(origins: Sequence[str], app: ASGIApp) -> ASGIApp:
    """``app``, which a status page of one of these ``origins`` may ask too (CORS); nothing is read from cookies, so none are let through."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
        max_age=3600,
    )


def make_streamed_app(ports: ServerPorts) -> ASGIApp:
    """The operations marked ``x-streamed`` alone: all that boxes and providers call, without the reading of the document."""
    return _Guard(
        Starlette(
            routes=[
                *events.routes(ports),
                *outside_services.routes(ports),
                *intake.routes(ports),
                *exchange.routes(ports),
                *carry.routes(ports),
            ],
            exception_handlers=_answers(),
        ),
        ports.telemetry,
    )


def read_document() -> dict[str, Any]:
    """The OpenAPI document, whole."""
    text = resources.files("lokole.server").joinpath("openapi.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 # a safe one
    return document


def streamed_operations(document: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Method and path of every operation that routes of our own answer."""
    return {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item and item[method].get(_STREAMED)
    }


# --- Connexion -----------------------------------------------------------------------------------


def _make_api(ports: ServerPorts, document: Mapping[str, Any]) -> AsyncApp:
    operations = {
        **register.handlers(ports),
        **held_back.handlers(ports),
        **health.handlers(ports),
        **v1.handlers(ports),
    }
    app = AsyncApp(__name__)
    app.add_error_handler(ProblemException, _answer_connexion)
    app.add_error_handler(HTTPException, functools.partial(_answer_connexion_http, _methods_by_path(document)))
    for ours in (Problem, LokoleError):
        app.add_error_handler(ours, _answer_connexion_ours)
    app.add_error_handler(Exception, _answer_connexion_fault)
    app.add_api(
        _without_streamed(document),
        resolver=Resolver(lambda name: _answering(operations[name])),
        security_map=register.security(ports),
        swagger_ui_options=SwaggerUIOptions(swagger_ui=ports.settings.console, serve_spec=True),
        validator_map=json_body.VALIDATORS,
    )
    return app


def _without_streamed(document: Mapping[str, Any]) -> dict[str, Any]:
    kept = copy.deepcopy(dict(document))
    for method, path in streamed_operations(document):
        item = kept["paths"][path]
        del item[method.lower()]
        if not any(name in item for name in _METHODS):
            del kept["paths"][path]
    return kept


def _answering(operation: Callable[..., Response]) -> Callable[..., Response]:
    """The operation, its errors turned into answers here: Connexion would need a handler for each of their types."""

    @functools.wraps(operation)
    def answer(*args: Any, **kwargs: Any) -> Response:
        try:
            return operation(*args, **kwargs)
        except ProblemException:
            raise
        except Exception as error:
            problem = problem_of(error)
            if isinstance(problem, Problem) and problem.status >= 500:
                log.error("an operation failed", exc_info=error)
            return problem.response()

    return answer


def _answer_connexion(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    assert isinstance(error, ProblemException)
    return _as_connexion(Problem(error.status, str(error.detail or error.title), headers=dict(error.headers or {})))


def _answer_connexion_http(
    methods: Sequence[tuple[re.Pattern[str], frozenset[str]]], request: ConnexionRequest, error: Exception
) -> ConnexionResponse:
    assert isinstance(error, HTTPException)
    for path, allowed in methods:
        if (
            error.status_code in (404, 405)
            and path.match(request.scope["path"])
            and request.scope["method"] not in allowed
        ):
            # paths that stream are not Connexion's, and of the others it names the methods of one operation
            headers = {"Allow": ", ".join(sorted(allowed))}
            return _as_connexion(Problem(405, "Method Not Allowed", headers=headers))
    return _as_connexion(Problem(error.status_code, error.detail, headers=dict(error.headers or {})))


def _methods_by_path(document: Mapping[str, Any]) -> list[tuple[re.Pattern[str], frozenset[str]]]:
    """Every path of the document, those without parameters first, and what may be asked of it; HEAD goes with GET."""
    found = []
    for path, item in sorted(document["paths"].items(), key=lambda one: "{" in one[0]):
        methods = {name.upper() for name in _METHODS if name in item}
        found.append((compile_path(path)[0], frozenset(methods | ({"HEAD"} if "GET" in methods else set()))))
    return found


def _answer_connexion_ours(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    return _as_connexion(problem_of(error))


def _answer_connexion_fault(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    # Connexion's own answer would write the error down in its own words, which may be those of the body
    log.error("a request failed", exc_info=error)
    return _as_connexion(problem_of(error))


def _as_connexion(problem: Problem | Words) -> ConnexionResponse:
    response = problem.response()
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return ConnexionResponse(
        status_code=response.status_code, mimetype=response.media_type, body=bytes(response.body), headers=headers
    )


@asynccontextmanager
async def _lifespan_of(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> AsyncIterator[None]:
    """Run the lifespan of an inner application, which a mount does not do by itself."""
    received: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, received.get, sent.put)
    )
    try:
        await received.put({"type": "lifespan.startup"})
        await _expect("lifespan.startup.complete", sent, task)
        yield
        await received.put({"type": "lifespan.shutdown"})
        await _expect("lifespan.shutdown.complete", sent, task)
    finally:
        task.cancel()


async def _expect(wanted: str, sent: asyncio.Queue[Message], task: asyncio.Future[None]) -> None:
    waiting: asyncio.Future[Any] = asyncio.ensure_future(sent.get())
    await asyncio.wait([waiting, task], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        raise RuntimeError("the inner application ended its lifespan early")
    if waiting.result()["type"] != wanted:
        raise RuntimeError("the inner application did not start")


# --- routes of our own ---------------------------------------------------------------------------


def _json(document: Mapping[str, Any]) -> Callable[[Request], Response]:
    return lambda _request: JSONResponse(document)


def _console_routes(switched_on: bool) -> list[Route]:
    """``…/ui`` below each path of the API leads to the console, where people of the first Lokole look for it."""

    def to_console(_request: Request) -> Response:
        return RedirectResponse("/ui/", 307)

    if not switched_on:
        return []
    email = [f"/api/email/{name}" for name in ("register", "sendgrid", "upload", "download", "metrics")]
    prefixes = [*email, "/api/email", "/api/exchange", "/api", "/healthcheck"]
    return [Route(f"{prefix}/ui{end}", to_console, methods=["GET"]) for prefix in prefixes for end in ("", "/")]


def _answers() -> dict[Any, Callable[[Request, Any], Response]]:
    return {
        LokoleError: _answer_error,
        ProblemException: _answer_problem,
        Problem: _answer_error,
        Words: _answer_error,
        HTTPException: _answer_http,
    }


def _answer_error(_request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if isinstance(problem, Problem) and problem.status >= 500:
        log.error("a request failed", exc_info=error)
    return problem.response()


def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemException)
    return Problem(error.status, str(error.detail or error.title)).response()


def _answer_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, error.detail, headers=error.headers).response()


def _limited(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> ASGIApp:
    """``app`` with bodies of at most :data:`MAX_PLAIN_BODY`, counted and not only announced."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > MAX_PLAIN_BODY:
            await _too_large().response()(scope, receive, send)
            return
        # Connexion turns what is raised inside receive() into an answer of its own, so the body is counted first.
        taken: list[Message] = []
        size = 0
        while True:
            message = await receive()
            taken.append(message)
            size += len(message.get("body", b""))
            if size > MAX_PLAIN_BODY:
                await _too_large().response()(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break

        async def again() -> Message:
            return taken.pop(0) if taken else await receive()

        await app({**scope, "headers": [_plain(*one) for one in scope["headers"]]}, again, send)

    return limited


def _plain(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as Connexion understands it: it validates no body whose media type is not in lower case."""
    return (name, value.lower() if name == b"content-type" else value)


def _too_large() -> Problem:
    return Problem(413, "the request is too large", code="too-large")


class _Guard:
    """Outermost: gives each request an id, writes one line about it, and lets no exception out, whose text may be somebody's letter."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry | None) -> None:
        self._app = app
        self._telemetry = telemetry
        self._n = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._n += 1
        started = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
                if not scope["path"].startswith("/api/exchange"):
                    # RFC 9110 section 6.6.1; a box has no use for it, and pays for it (protocol 4.15)
                    message["headers"].append((b"date", formatdate(usegmt=True).encode()))
            await send(message)

        with logs.working_on(f"request-{self._n}"):
            try:
                await self._app(scope, receive, watched)
            except Exception as error:
                log.error("a request failed", exc_info=error)
                if status:
                    raise ConnectionError("the answer broke") from None
                await Problem(500, "something went wrong here", code="fault").response()(scope, receive, watched)
            finally:
                route, seconds = route_of(scope["path"]), time.perf_counter() - started
                log.info("%s %s %s %.0f ms", scope["method"], route, status, seconds * 1000)
                if self._telemetry is not None:
                    self._telemetry.request(scope["method"], route, status, seconds)


#: what is told of paths; behind it are ids, domains and secrets, and what is not here somebody made up
_ROUTES = frozenset(
    {
        *(f"/api/email/{name}" for name in ("download", "github", "metrics", "register", "sendgrid", "upload")),
        *(f"/api/exchange/{name}" for name in ("ack", "carry", "claim", "digest", "packages")),
        *("/", "/api/email", "/api/exchange", "/api", "/carry", "/healthcheck", "/metrics", "/openapi.json"),
        *("/status", "/ui", "/web"),
    }
)


def route_of(path: str) -> str:
    """The beginning of a path that holds no id, domain or secret; a path that is none of ours is "/other"."""
    parts = path.split("/")
    beginning = "/".join(parts[:4] if path.startswith(("/api/email/", "/api/exchange/")) else parts[:2])
    return beginning if beginning in _ROUTES else "/other"


__all__ = ["make_app", "make_streamed_app", "read_document", "route_of", "streamed_operations"]
