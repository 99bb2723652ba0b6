"""How often somebody may guess: failures are counted per network in the database, so that a restart resets nothing and workers share them.

A right answer is never delayed by the failures of another network, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from connexion.exceptions import OAuthProblem

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import limits
from lokole.server import networks
from lokole.server.ports import ServerPorts
from lokole.server.problems import Problem


class Attempts:
    """At most ``most`` failures of one network within ``seconds``; then 429 until the window is over."""

    def __init__(self, ports: ServerPorts, name: str, *, most: int, seconds: int) -> None:
        self._ports = ports
        self._name = name
        self._most = most
        self._window = timedelta(seconds=seconds)

    @contextmanager
    def counting_failures(self, network: str) -> Iterator[None]:
        """What is tried inside the block; raises Problem 429 instead when there were too many failures before."""
        self._check(network)
        try:
            yield
        except (NotFound, Refused, OAuthProblem):
            self._count(network)
            raise

    def count(self, network: str) -> None:
        """One try that costs something even when it is right; raises Problem 429 as above."""
        self._check(network)
        self._count(network)

    def _check(self, network: str) -> None:
        key = f"{self._name}:{network}"
        now = self._ports.clock()
        with self._ports.database.read() as tx:
            if limits.get_count(tx, key, now) >= self._most:
                seconds = max(1, round((limits.get_expiry(tx, key, now) - now).total_seconds()))
                raise Problem(
                    429, "too many tries, try again later", code="too-many", headers={"Retry-After": str(seconds)}
                )

    def _count(self, network: str) -> None:
        with self._ports.database.write() as tx:
            limits.add_count(tx, f"{self._name}:{network}", self._window, self._ports.clock())


def network_of(scope: Mapping[str, Any]) -> str:
    """Who is calling, as far as it can be told apart: an IPv4 address, or an IPv6 network of one customer (/64)."""
    client = scope.get("client")
    found = networks.network_of(client[0]) if client else None
    if found is None:
        return "unknown"
    return str(found) if found.version == 6 else str(found.network_address)
