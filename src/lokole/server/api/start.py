"""The page at the server's address: what this is, and where to go from here."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lokole.server.ports import ServerPorts

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Lokole server</title></head>
<body>
<h1>Lokole server</h1>
<p>This server brings mail to places where the internet is there for a few minutes a day:
it keeps what comes for the boxes in the villages and sends what their people write.</p>
<ul>
{links}
</ul>
</body>
</html>
"""


def page(ports: ServerPorts, links: Mapping[str, str], *, web: bool) -> Callable[[Request], Response]:
    """The page; ``links`` maps words to further addresses, ``web`` says whether the web pages are there."""
    own: dict[str, str] = {}
    if web:
        own["Read your mail in town"] = "/web/"
        own["Do you carry mail of a village? Hand it in here"] = "/carry"
    if ports.settings.console:
        own["Try the API in its console"] = "/ui/"
    own["Boxes and pings, for those who look after them"] = "/status/"
    own["The API's description"] = "/openapi.json"
    own["Is it there?"] = "/healthcheck/ping"
    rows = [
        f'<li><a href="{html.escape(address)}">{html.escape(words)}</a></li>'
        for words, address in {**own, **links}.items()
    ]
    text = _PAGE.format(links="\n".join(rows))
    headers = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cache-Control": "no-store"}

    def start(_request: Request) -> Response:
        return HTMLResponse(text, headers=headers)

    return start
