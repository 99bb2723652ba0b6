"""Networks of callers: as settings name them, and as callers are told apart by them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network_of(address: str, *, v4: int = 32, v6: int = 64) -> Network | None:
    """The network that ``address`` is counted under; None for what is no address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return ipaddress.ip_network((found, v4 if found.version == 4 else v6), strict=False)


def read_networks(name: str, texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks such as ``192.0.2.0/24``, or single addresses; raises ValueError with a sentence that names the setting."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ValueError(
                f"{name} cannot have “{text}”: write a network as 192.0.2.0/24 or 2001:db8::/32."
            ) from error
    return tuple(found)


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Whether ``address`` is of one of ``networks``."""
    found = network_of(address, v6=128)
    return found is not None and any(
        found.version == network.version and found.network_address in network for network in networks
    )
