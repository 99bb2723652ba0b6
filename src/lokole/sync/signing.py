"""Who asks: requests signed with the Ed25519 key of a box (RFC 8032; protocol 4.2).

A signature covers the device, the method, the path with its query, the digest of the body, the counter of the box and the headers that the
protocol names for that request, so that none of them can be changed or taken over to another request.
That a counter is used once only is kept by whoever has the table of counters.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NewType

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from lokole.mail.errors import Refused
from lokole.mail.model import DeviceId

#: 32 bytes from which the key pair is derived; never leaves the box.
Seed = NewType("Seed", bytes)
#: 32 bytes, what the server keeps.
PublicKey = NewType("PublicKey", bytes)

#: First line of what is signed: a signature for this cannot be taken for one of anything else.
_PURPOSE = "lokole-request-1"
MAX_COUNTER = 2**63 - 1
EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()

_HEADER = re.compile(
    r"Lokole +device=([A-Za-z0-9._-]{1,64}) *, *counter=(0|[1-9][0-9]{0,18}) *, *signature=([A-Za-z0-9_-]{86})(?:==)?",
    re.IGNORECASE | re.ASCII,
)
_PLAIN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What an ``Authorization`` header claims; true only after :func:`verify`."""

    device_id: DeviceId
    counter: int
    signature: bytes


def new_key(entropy: Callable[[int], bytes]) -> Seed:
    """A new secret from ``entropy(32)``."""
    seed = entropy(32)
    if len(seed) != 32:
        raise ValueError("entropy gave the wrong number of bytes")
    return Seed(seed)


def public_key(seed: bytes) -> PublicKey:
    """The half of the key that may be known."""
    return PublicKey(bytes(SigningKey(seed).verify_key))


def encode_key(key: bytes) -> str:
    """A public key as text: 43 characters of base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode("ascii")


def decode_key(text: str) -> PublicKey:
    """The public key of ``text``, in base64 or base64url; raises :class:`Refused` with code ``key``."""
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", plain, re.ASCII):
        raise Refused("the public key is not 32 bytes of base64", code="key", field="public_key")
    return PublicKey(base64.urlsafe_b64decode(plain + "="))


def body_sha256(body: bytes) -> str:
    """The digest of a request body as lower-case hex."""
    return hashlib.sha256(body).hexdigest()


def sign_request(
    seed: bytes,
    *,
    device_id: str,
    method: str,
    path_and_query: str,
    body_sha256: str,
    counter: int,
    headers: Mapping[str, str] | None = None,
) -> str:
    """The value of the ``Authorization`` header of a request.

    ``path_and_query`` is the request target as sent (RFC 9112 section 3.2.1), ``body_sha256`` lower-case hex.
    ``headers`` are those that the signature covers besides (protocol 4.2); names in any case.
    """
    message = _message(device_id, method, path_and_query, body_sha256, counter, headers or {})
    signature = SigningKey(seed).sign(message).signature
    text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii")
    return f"Lokole device={device_id},counter={counter},signature={text}"


def parse_authorization(value: str) -> SignedRequest:
    """Read the ``Authorization`` header; raises :class:`Refused` with code ``authorization``."""
    match = _HEADER.fullmatch(value.strip()) if len(value) <= 400 else None
    if match is None:
        raise Refused("the Authorization header is not a Lokole signature", code="authorization")
    counter = int(match[2])
    signature = base64.urlsafe_b64decode(match[3] + "==")
    if counter > MAX_COUNTER or base64.urlsafe_b64encode(signature).rstrip(b"=").decode("ascii") != match[3]:
        raise Refused("the Authorization header is not a Lokole signature", code="authorization")
    return SignedRequest(DeviceId(match[1]), counter, signature)


def verify(
    public_key: bytes,
    signed: SignedRequest,
    *,
    method: str,
    path_and_query: str,
    body_sha256: str,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Whether the holder of the secret half of ``public_key`` signed just this request."""
    try:
        message = _message(signed.device_id, method, path_and_query, body_sha256, signed.counter, headers or {})
        VerifyKey(public_key).verify(message, signed.signature)
    except (CryptoError, ValueError, TypeError):
        return False
    return True


def _message(
    device_id: str, method: str, path_and_query: str, body_sha256: str, counter: int, headers: Mapping[str, str]
) -> bytes:
    """The lines that are signed; nothing in them may hold a line end, so no two requests have the same."""
    covered = sorted((name.lower(), value) for name, value in headers.items())
    lines = [_PURPOSE, device_id, str(counter), method.upper(), path_and_query, body_sha256]
    lines += [f"{name}:{value.strip()}" for name, value in covered]
    if not 0 <= counter <= MAX_COUNTER or not all(_PLAIN.fullmatch(line) for line in lines):
        raise ValueError("a request that is signed is visible ASCII throughout")
    return "".join(f"{line}\n" for line in lines).encode("ascii")
