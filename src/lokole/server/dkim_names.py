"""The names of a domain's DKIM keys: what it publishes them under, and what they are kept under here. Knows nothing of keys themselves."""

from __future__ import annotations

import hashlib

from lokole.server.settings import DkimAlgorithm, ServerSettings


def selector_of(settings: ServerSettings, algorithm: str) -> str:
    """The selector of one algorithm's key: that of the settings for RSA, with ``-ed`` after it for Ed25519."""
    return settings.dkim_selector if algorithm == "rsa" else f"{settings.dkim_selector}-ed"


def key_name(settings: ServerSettings, domain: str, algorithm: str) -> str:
    """What the private key is called among this installation's secrets."""
    whole = f"{selector_of(settings, algorithm)}._domainkey.{domain}"
    return f"dkim:{algorithm}:{hashlib.sha256(whole.encode()).hexdigest()[:40]}"


def key_names(settings: ServerSettings, domain: str) -> list[str]:
    """All that a domain may have under the selector of today, whether it signs or not; none for the one that all boxes share."""
    if domain == settings.flat_domain:
        return []
    return [key_name(settings, domain, algorithm.value) for algorithm in DkimAlgorithm]
