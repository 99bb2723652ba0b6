"""How often somebody outside may call by SMTP and name recipients: each address (IPv6: each network of 64 bits) by itself.

Who is too fast is answered with 4xx, so that an honest sender comes again and loses nothing. The counts are this process's own
and in memory only: they refill within a minute, so there is nothing that a restart could lose. Their number is bounded;
whoever has not called for longest is forgotten first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lokole.adapters.intake.smtp import Reply
from lokole.ports.callables import Clock
from lokole.server.networks import Network, is_in, network_of

#: connections of one address at the same time
MOST_AT_ONCE = 20
#: connections of all addresses at the same time: each may hold a letter in memory
MOST_IN_ALL = 200
#: addresses that are counted at the same time
MOST_COUNTED = 10_000
_MINUTE = 60.0

TOO_OFTEN = Reply(421, "4.7.0", "too many connections from your address, come again in a minute")
FULL = Reply(421, "4.3.2", "too many connections here, come again in a minute")
TOO_MANY = Reply(451, "4.7.1", "too many recipients from your address, come again in a minute")


@dataclass(slots=True)
class _Caller:
    """What is left to one address, as of ``at``, and how many connections it has open."""

    connections: float
    recipients: float
    at: datetime
    open: int = 0


class Pace:
    """The door of a listener, and the count of recipients behind it; safe in threads. What is exempt is never counted."""

    def __init__(
        self,
        clock: Clock,
        *,
        connections: int,
        recipients: int,
        exempt: Iterable[Network] = (),
        most_at_once: int = MOST_AT_ONCE,
        most_in_all: int = MOST_IN_ALL,
        most_counted: int = MOST_COUNTED,
    ) -> None:
        self._clock = clock
        self._connections = connections
        self._recipients = recipients
        self._exempt = tuple(exempt)
        self._most_at_once = most_at_once
        self._most_in_all = most_in_all
        self._most_counted = most_counted
        self._callers: OrderedDict[str, _Caller] = OrderedDict()
        self._in_all = 0
        self._lock = threading.Lock()

    @property
    def counted(self) -> int:
        """How many addresses are counted."""
        return len(self._callers)

    def is_exempt(self, address: str) -> bool:
        """Whether this address may do as it likes."""
        return is_in(address, self._exempt)

    def enter(self, address: str) -> Reply | None:
        """As ``Door`` says."""
        with self._lock:
            if not self.is_exempt(address):
                if self._in_all >= self._most_in_all:
                    return FULL
                caller = self._caller(address)
                if caller.open >= self._most_at_once or caller.connections < 1:
                    return TOO_OFTEN
                caller.connections -= 1
                caller.open += 1
            self._in_all += 1
        return None

    def leave(self, address: str) -> None:
        """As ``Door`` says."""
        with self._lock:
            self._in_all -= 1
            caller = self._callers.get(_key(address))
            if caller is not None and caller.open:
                caller.open -= 1

    def may_name(self, address: str) -> bool:
        """Count one recipient that ``address`` names; False when it is one too many within a minute."""
        if self.is_exempt(address):
            return True
        with self._lock:
            caller = self._caller(address)
            if caller.recipients < 1:
                return False
            caller.recipients -= 1
        return True

    def _caller(self, address: str) -> _Caller:
        key, now = _key(address), self._clock()
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = _Caller(self._connections, self._recipients, now)
            if len(self._callers) > self._most_counted:
                self._callers.popitem(last=False)
        self._callers.move_to_end(key)
        # a clock that was put back gives nothing; from here it counts on
        minutes = max(0.0, (now - caller.at).total_seconds()) / _MINUTE
        caller.connections = min(self._connections, caller.connections + minutes * self._connections)
        caller.recipients = min(self._recipients, caller.recipients + minutes * self._recipients)
        caller.at = now
        return caller


def _key(address: str) -> str:
    return str(network_of(address) or address)
