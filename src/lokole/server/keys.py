"""The server's own key: what packages are sealed to on their way up and signed with on their way down (protocol 6.2)."""

from __future__ import annotations

from lokole.mailbox.identity import find_secret, get_secret
from lokole.server.ports import ServerPorts
from lokole.sync.signing import Seed, new_key, public_key

SERVER_KEY = "server-key"


def server_seed(ports: ServerPorts) -> Seed:
    """The Ed25519 seed of this server (32 bytes), made at the first call; whoever has it can open all that comes up."""
    with ports.database.read() as tx:
        found = find_secret(tx, SERVER_KEY)
    if found is None:
        with ports.database.write() as tx:
            found = get_secret(tx, SERVER_KEY, lambda: new_key(ports.entropy))
    return Seed(found)


def server_public(ports: ServerPorts) -> bytes:
    """What every box learns at its claim (32 bytes)."""
    return public_key(server_seed(ports))
