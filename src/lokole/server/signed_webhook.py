"""Whether a webhook's request is SendGrid's own: ECDSA over P-256 with SHA-256, of the time stamp and the body as they came.

The public key is what SendGrid shows for the event webhook, or for a security policy of Inbound Parse: base64 of a SubjectPublicKeyInfo.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from lokole.mail.errors import Refused

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
#: SendGrid repeats for a day (events) or three (letters); what is older was kept by somebody
OLDEST = timedelta(days=4)
_CHUNK = 256 * 1024


def load_key(text: str) -> ec.EllipticCurvePublicKey:
    """Read a public key; raises ValueError when it is none of P-256."""
    plain = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        key = load_der_public_key(base64.b64decode(plain, validate=True))
    except (ValueError, binascii.Error, TypeError) as error:
        raise ValueError("this is no public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("this is no public key of the curve P-256")
    return key


def check(key: ec.EllipticCurvePublicKey, headers: Mapping[str, str], body: BinaryIO, now: datetime) -> None:
    """Raise Refused, code ``unsigned``, unless ``body`` (read from its beginning, and put back there) was signed with ``key``."""
    signature, timestamp = headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(timestamp.encode("utf-8", "replace"))
    body.seek(0)
    while chunk := body.read(_CHUNK):
        digest.update(chunk)
    body.seek(0)
    try:
        key.verify(
            base64.b64decode(signature, validate=True), digest.finalize(), ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        )
    except (InvalidSignature, ValueError, binascii.Error) as error:
        raise Refused("the signature is missing or wrong", code="unsigned") from error
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise Refused("the signature has no time", code="unsigned")
    if abs(now.timestamp() - int(timestamp)) > OLDEST.total_seconds():
        raise Refused("the signature is too old", code="unsigned")
