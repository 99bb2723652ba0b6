"""A broker between many processes: it carries the numbers of rows of work, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Hand(Protocol):
    """What does the work in one process of :meth:`Broker.serve`."""

    def run(self, no: int) -> None:
        """Lease the row ``no`` and do its work, when it is due and nobody else has it; raises nothing that the row does not tell."""

    def stop(self) -> None:
        """The process ends; nothing is at work any more."""


class Broker(Protocol):
    """A doorbell that many processes hear. The row is the truth: a number may get lost, or come twice, without harm."""

    def publish(self, numbers: Sequence[int]) -> None:
        """Tell of rows, once each, after the commit that made them due; durable when it returns. Raises Temporary; some may be told then."""

    def serve(self, make: Callable[[int], Hand], processes: int) -> None:
        """Work in ``processes`` processes until this one is told to stop (SIGTERM); each makes its own hand, given its number from 0.

        Comes back by itself when the broker was away. Call it where no thread runs: the processes are forked.
        """

    def waiting(self) -> int | None:
        """How many numbers lie there, or None where the broker cannot say; raises Temporary."""

    def clear(self) -> None:
        """Delete the queue with what lies in it; the rows stay and are told of again. Raises Temporary."""

    def close(self) -> None:
        """Give the connections back."""
