"""The few error types of the whole project.

Adapters translate a vendor's errors into these and keep the cause.
Use cases return values or raise one of them.
The web API maps them to status codes, the jobs to "try again" or "give up",
the pages to a sentence that a person understands.
"""

from __future__ import annotations


class LokoleError(Exception):
    """Whatever this project raises on purpose."""


class NotFound(LokoleError):
    """The thing asked for does not exist, or not for the one who asks."""


class Refused(LokoleError):
    """The caller's fault: ``code`` is a stable word for programs, ``field`` the input that is wrong."""

    def __init__(self, message: str, *, code: str = "refused", field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class BadPackage(LokoleError):
    """The peer's fault: a package, or one record of it, that cannot be read.

    ``code`` is a stable word for programs; those of a sealed package stand in protocol 6.6.
    """

    def __init__(self, message: str = "", *, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


class Temporary(LokoleError):
    """Something outside failed and may work later; ``retry_after`` is in seconds when the peer named it.

    ``operator`` is a sentence for the operator when it will not work before they have done something; it says nothing of any letter.
    ``reason`` is the stable word that the writer is told when it never worked until the time was up.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, operator: str | None = None, reason: str = "expired"
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.operator = operator
        self.reason = reason


class Permanent(LokoleError):
    """Something outside said no and will say no again; ``reason`` may be shown to the writer."""

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason if reason is not None else message
