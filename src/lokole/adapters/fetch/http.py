"""GET over HTTPS for services, so that nothing in a letter, and no answer of a provider, leads into a network behind this server.

The name of a host is looked up once and the connection goes to the address that was looked at, so that no second answer of a name server counts.
Only what the operator's settings name may be private, or spoken to without TLS.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx2

from lokole.mail.errors import Permanent, Temporary
from lokole.ports.fetch import Fetched

#: seconds for one question in all, and without a byte
DEADLINE_SECONDS = 30.0
IDLE_SECONDS = 10.0
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 3
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

#: the addresses of (host, port)
Resolve = Callable[[str, int], list[str]]


def _look_up(host: str, port: int) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class HttpFetch:
    """A ``Fetch``; ``user_agent`` says who asks and how to reach them, ``trusted`` are addresses of the operator's settings."""

    def __init__(
        self,
        *,
        user_agent: str,
        trusted: Collection[str] = (),
        resolve: Resolve = _look_up,
        deadline: float = DEADLINE_SECONDS,
        idle: float = IDLE_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trusted = {_origin(url) for url in trusted if "{" not in urlsplit(url).netloc}
        self._resolve = resolve
        self._deadline = deadline
        self._seconds = seconds
        self._idle = idle
        self._user_agent = user_agent

    @cached_property
    def _client(self) -> httpx2.Client:
        """Made with the first question: reading the certificates of all authorities takes time and memory that most servers never need."""
        return httpx2.Client(
            # identity: what is counted is what comes over the line, and nothing swells
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(self._idle),
            limits=httpx2.Limits(max_connections=10, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def __call__(self, url: str, *, accept: str = "*/*", max_bytes: int = 4 * 1024 * 1024) -> Fetched:
        first, over = _origin(url), self._seconds() + self._deadline
        for _ in range(_MOST_REDIRECTS + 1):
            status, headers, content = self._get(url, accept, max_bytes, over)
            if status not in _REDIRECTS or not headers.get("location"):
                return Fetched(status, headers.get("content-type", "").partition(";")[0].strip().lower(), content)
            url = urljoin(url, headers["location"])
            if _origin(url) != first:
                raise Permanent("the answer leads to another host", reason="elsewhere")
        raise Temporary("the answer leads in a circle")

    def _get(self, url: str, accept: str, max_bytes: int, over: float) -> tuple[int, httpx2.Headers, bytes]:
        target, host, extensions = self._target(url)
        content = bytearray()
        try:
            with self._client.stream(
                "GET", target, headers={"Accept": accept, "Host": host}, extensions=extensions
            ) as response:
                if response.status_code == 429 or response.status_code >= 500:
                    raise Temporary(
                        f"the other side answered {response.status_code}", retry_after=_retry_after(response.headers)
                    )
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise Temporary("the other side answered in a form that was not asked for")
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > max_bytes:
                        raise Permanent("the answer is too long", reason="too-large")
                    if self._seconds() > over:
                        raise Temporary("the other side is too slow")
                return response.status_code, response.headers, bytes(content)
        except httpx2.HTTPError as error:
            raise Temporary(f"the other side is out of reach: {type(error).__name__}") from error
        except httpx2.InvalidURL as error:
            raise _not_allowed() from error

    def _target(self, url: str) -> tuple[str, str, dict[str, Any]]:
        """Where to connect, the ``Host`` to say, and the name that the certificate must have."""
        scheme, name, port = origin = _origin(url)
        parts = urlsplit(url)
        if origin in self._trusted:
            return url, parts.netloc, {}
        if scheme != "https" or parts.username is not None:
            raise _not_allowed()
        try:
            found = self._resolve(name, port)
        except (OSError, UnicodeError) as error:
            raise Temporary("the host cannot be looked up") from error
        if not found or not all(is_public(one) for one in found):
            raise _not_allowed()
        literal = f"[{found[0]}]" if ":" in found[0] else found[0]
        target = urlunsplit(("https", f"{literal}:{port}", parts.path, parts.query, ""))
        return target, name if port == 443 else f"{name}:{port}", {"sni_hostname": name}


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the internet and to no network behind this machine, whatever it is wrapped in."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise _not_allowed() from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _not_allowed()
    return parts.scheme, parts.hostname, port


def _not_allowed() -> Permanent:
    return Permanent("this address is not asked", reason="not-allowed")


def _retry_after(headers: httpx2.Headers) -> float | None:
    said = headers.get("retry-after", "").strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 10 else None
