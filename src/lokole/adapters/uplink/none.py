"""A box that never meets a server: letters stay between its own people."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lokole.mail.errors import Temporary


class NoUplink:
    """Implements :class:`lokole.ports.uplink.Uplink`; there is never a way."""

    def up(self) -> AbstractContextManager[None]:
        raise Temporary("this box has no way to the internet (LOKOLE_UPLINK is none:)")
