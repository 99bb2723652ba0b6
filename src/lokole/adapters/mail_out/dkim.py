"""DKIM signatures (RFC 6376) for letters of ours: relaxed/relaxed, rsa-sha256 or ed25519-sha256 (RFC 8463).

Only signs. Header fields that a reader sees are signed once more than they are there, so that nobody can add a second one
(RFC 6376 section 8.15). There is no length tag, so that nothing can be added to the body.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from lokole.ports.checkable import Checkable
from lokole.ports.mail_out import MailOut

#: what is signed when it is there; the first are signed also when they are not
_ALWAYS = ("From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "In-Reply-To", "References")
_WHEN_THERE = ("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted")
_BLANKS = re.compile(rb"[ \t]+")
_FOLDED = re.compile(rb"\r\n(?=[ \t])")
_ADDRESS = re.compile(rb"@([A-Za-z0-9.-]+)>?\s*$")
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One private key of a domain under its selector; ``algorithm`` is ``rsa`` or ``ed25519``, ``private`` DER (PKCS #8)."""

    selector: str
    algorithm: str
    private: bytes


#: The keys with which letters of a domain are signed; none for a domain that is not ours.
KeysOf = Callable[[str], Sequence[DkimKey]]


def new_private_key(algorithm: str) -> bytes:
    """A new private key, as DER (PKCS #8)."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_record(key: DkimKey) -> str:
    """What the domain publishes at ``selector._domainkey`` (RFC 6376 section 3.6.1)."""
    private = _load(key)
    if isinstance(private, rsa.RSAPrivateKey):
        encoded = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        encoded = private.public_key().public_bytes_raw()  # RFC 8463 section 4.2
    return f"v=DKIM1; k={key.algorithm}; p={base64.b64encode(encoded).decode('ascii')}"


def sign(message: bytes, domain: str, keys: Sequence[DkimKey], now: datetime) -> bytes:
    """``message`` (CRLF line ends) with a signature of each of ``keys`` before it."""
    head, _, body = message.partition(b"\r\n\r\n")
    fields = _fields(head)
    body_hash = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode("ascii")
    return b"".join(_signature(key, domain, fields, body_hash, now) for key in keys) + message


def sender_domain(message: bytes) -> str:
    """The domain of the From field, in lower case; nothing when there is none."""
    for name, value in _fields(message.partition(b"\r\n\r\n")[0]):
        if name.lower() == b"from":
            found = _ADDRESS.search(_FOLDED.sub(b"", value))
            return "" if found is None else found[1].decode("ascii").lower()
    return ""


@dataclass(frozen=True, slots=True)
class SignedMailOut:
    """Signs what leaves by ``way`` with the keys of the domain in From, so that the signature is aligned (RFC 7489 section 3.1)."""

    way: MailOut
    keys_of: KeysOf
    clock: Callable[[], datetime]

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        """Sign and hand over, see ``ports.mail_out``."""
        domain = sender_domain(message)
        keys = self.keys_of(domain) if domain else ()
        signed = sign(message, domain, keys, self.clock()) if keys else message
        self.way.send(sender=sender, recipient=recipient, message=signed)

    def check(self) -> str:
        """What the way says of itself, as ``Checkable`` has it."""
        return self.way.check() if isinstance(self.way, Checkable) else "letters are signed"


def _load(key: DkimKey) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    loaded = serialization.load_der_private_key(key.private, password=None)
    assert isinstance(loaded, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
    return loaded


def _signature(
    key: DkimKey, domain: str, fields: Sequence[tuple[bytes, bytes]], body_hash: str, now: datetime
) -> bytes:
    there = [name.lower().decode("latin-1") for name, _ in fields]
    names = [one for one in _ALWAYS + _WHEN_THERE for _ in range(there.count(one.lower()))] + list(_ALWAYS)
    tags = (
        f"v=1; a={key.algorithm}-sha256; c=relaxed/relaxed; t={int(now.timestamp())};",
        f"d={domain}; s={key.selector};",
        *_wrapped(f"h={':'.join(names)};"),
        f"bh={body_hash};",
        "b=",
    )
    value = ("\r\n ".join(tags)).encode("ascii")
    signed = _chosen(fields, names) + _relaxed(b"DKIM-Signature", b" " + value)
    private = _load(key)
    if isinstance(private, rsa.RSAPrivateKey):
        made = private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        made = private.sign(hashlib.sha256(signed).digest())  # RFC 8463 section 3: of the hash
    text = base64.b64encode(made).decode("ascii")
    pieces = [text[at : at + 70] for at in range(0, len(text), 70)]
    return b"DKIM-Signature: " + value + "\r\n ".join(pieces).encode("ascii") + b"\r\n"


def _wrapped(tag: str) -> list[str]:
    """A long list of names on lines of at most 76 characters; a blank after a colon is allowed (RFC 6376 section 3.5)."""
    lines = [""]
    for piece in re.findall(r"[^:]+:?", tag):
        if len(lines[-1]) + len(piece) > 75:
            lines.append("")
        lines[-1] += piece
    return lines


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = re.split(rb"\r\n(?![ \t])", head)
    found = (line.partition(b":") for line in lines if b":" in line)
    return [(name.rstrip(), value) for name, _, value in found]


def _chosen(fields: Sequence[tuple[bytes, bytes]], names: Sequence[str]) -> bytes:
    """The fields that ``names`` say, of several of one name the last first (section 5.4.2)."""
    left: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for name, value in fields:
        left.setdefault(name.lower(), []).append((name, value))
    chosen = []
    for wanted in names:
        rest = left.get(wanted.lower().encode("ascii"))
        if rest:
            chosen.append(_relaxed(*rest.pop()) + b"\r\n")
    return b"".join(chosen)


def _relaxed(name: bytes, value: bytes) -> bytes:
    """Section 3.4.2, without the line end."""
    return name.lower() + b":" + _BLANKS.sub(b" ", _FOLDED.sub(b"", value)).strip(b" \t\r\n")


def _relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4."""
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)
