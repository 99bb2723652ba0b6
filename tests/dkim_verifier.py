"""A second implementation of DKIM (RFC 6376), that verifies and knows nothing of ours: line by line, both canonicalisations, RSA and Ed25519.

It is itself proven by messages that others have signed (``../shared/testdata/dkim``).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import nacl.exceptions
import nacl.signing
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


@dataclass(frozen=True)
class Verdict:
    """One signature: who signed, with what, and whether it holds."""

    domain: str
    selector: str
    algorithm: str
    holds: bool
    why: str = ""


def verify(message: bytes, records: Mapping[str, str]) -> list[Verdict]:
    """The verdict on each signature of ``message``; ``records`` are TXT values by name."""
    text = message.decode("latin-1")
    head, _, body = text.partition("\r\n\r\n")
    headers: list[tuple[str, str]] = []
    for line in head.split("\r\n"):
        if line[:1] in (" ", "\t") and headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value}\r\n{line}")
        elif ":" in line:
            name, _, value = line.partition(":")
            headers.append((name, value))
    return [_one(headers, body, value, records) for name, value in headers if name.lower() == "dkim-signature"]


def _one(headers: list[tuple[str, str]], body: str, raw: str, records: Mapping[str, str]) -> Verdict:
    tags = _tags(raw)
    domain, selector, algorithm = tags["d"], tags["s"], tags["a"]
    of_head, _, of_body = tags.get("c", "simple/simple").partition("/")

    def verdict(holds: bool, why: str = "") -> Verdict:
        return Verdict(domain, selector, algorithm, holds, why)

    if (
        base64.b64encode(hashlib.sha256(_body(body, of_body or "simple").encode("latin-1")).digest()).decode()
        != tags["bh"]
    ):
        return verdict(False, "body")
    stack: dict[str, list[tuple[str, str]]] = {}
    for name, value in headers:
        stack.setdefault(name.lower(), []).append((name, value))
    signed = ""
    for name in tags["h"].split(":"):
        some = stack.get(name.strip().lower())
        if some:
            signed += _header(*some.pop(), of_head) + "\r\n"
    unsigned = re.sub(r"(^|;)(\s*)b=[^;]*", r"\1\2b=", raw)
    own = next(name for name, value in headers if value == raw)
    signed += _header(own, unsigned, of_head)
    record = records.get(f"{selector}._domainkey.{domain}")
    if record is None:
        return verdict(False, "no key")
    key = _tags(record)
    public, made = base64.b64decode(key["p"]), base64.b64decode(re.sub(r"\s", "", tags["b"]))
    try:
        if key.get("k", "rsa") == "ed25519":
            nacl.signing.VerifyKey(public).verify(hashlib.sha256(signed.encode("latin-1")).digest(), made)
        else:
            loaded = serialization.load_der_public_key(public)
            assert isinstance(loaded, rsa.RSAPublicKey)
            loaded.verify(made, signed.encode("latin-1"), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, nacl.exceptions.BadSignatureError):
        return verdict(False, "signature")
    return verdict(True)


def _tags(text: str) -> dict[str, str]:
    found = (one.partition("=") for one in text.split(";") if "=" in one)
    return {name.strip(): re.sub(r"\s", "", value) for name, _, value in found}


def _header(name: str, value: str, how: str) -> str:
    if how == "simple":
        return f"{name}:{value}"
    return f"{name.strip().lower()}:{' '.join(value.split())}"


def _body(body: str, how: str) -> str:
    if how == "relaxed":
        body = "\r\n".join(re.sub(r"[ \t]+", " ", line).rstrip(" ") for line in body.split("\r\n"))
    while body.endswith("\r\n\r\n"):
        body = body[:-2]
    if body == "\r\n":
        body = ""
    if body and not body.endswith("\r\n"):
        body += "\r\n"
    return body if body or how == "relaxed" else "\r\n"
