"""The machine that a box runs on, as far as it says itself that something is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MachineState:
    """What is known now; whatever a machine does not say is as if all were well."""

    #: how often the file systems met an error on their card or disk
    card_errors: int = 0
    #: the voltage is too low, or was since the machine was started
    power_is_low: bool = False
    #: of the modem, in percent; None without a modem, or when it did not listen just now
    signal: int | None = None
    #: when somebody last noted that the box was copied; None when nobody ever did
    copied_at: datetime | None = None


#: looks now; raises nothing and changes nothing
LookAtMachine = Callable[[], MachineState]
