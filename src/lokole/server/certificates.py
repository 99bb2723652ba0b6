"""How long certificates are good for still: one in a file, or the one that a web server shows."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from lokole.mail.errors import Permanent, Temporary

_SECONDS = 10.0


def end_of_file(certificate: Path, key: Path) -> datetime:
    """When the certificate (PEM, with its chain) ends; raises Permanent when it has ended, or is not the key's."""
    try:
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(certificate, key)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.check_hostname = False
        theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is enough of a reason to trust it
        theirs.load_verify_locations(certificate)
    except (OSError, ValueError) as error:  # SSLError is one
        raise Permanent(f"it cannot be read ({type(error).__name__})") from error
    # a handshake within this process: the standard library reads a certificate of a peer only
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client, server = theirs.wrap_bio(up, down), ours.wrap_bio(down, up, server_side=True)
    try:
        for _ in range(10):
            for side in (client, server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
    except ssl.SSLError as error:
        raise Permanent(_why(error)) from error
    return _end(client.getpeercert())


def end_at(address: str) -> datetime:
    """When the certificate of the web server at ``address`` ends; raises Permanent when browsers and boxes would not take it, Temporary."""
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 443
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secured,
        ):
            return _end(secured.getpeercert())
    except ssl.SSLError as error:
        raise Permanent(_why(error)) from error
    except OSError as error:
        raise Temporary(f"{host}:{port} cannot be reached ({type(error).__name__})") from error


def _end(certificate: object) -> datetime:
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    if not isinstance(ends, str):
        raise Permanent("it says no end")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


def _why(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", None) or error.reason or type(error).__name__
