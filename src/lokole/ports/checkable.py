"""What somebody who looks after a server can ask of an adapter."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Checkable(Protocol):
    """An adapter that can say whether what it stands on is there, and whether its key may what it needs to; it changes nothing."""

    def check(self) -> str:
        """What is well, in some words; raises Temporary or Permanent whose text says what is not."""
