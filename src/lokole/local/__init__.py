"""``lokole local``: server, one registered box and a small outside world in one process, on loopback.

Layout of the data folder: ``server/`` and ``box/`` as the two programs keep them, ``world/`` what arrived outside,
``registration`` (USER:PASSWORD) and ``local.json`` (ports, domain and secrets for tests), both readable by the owner only.
The folder may be used again: nothing is registered twice.
Nothing here is for the field: it listens on loopback only, and the pages of the world have no sign-in.
"""

from lokole.local.village import LocalOptions, Village, run_local

__all__ = ["LocalOptions", "Village", "run_local"]
