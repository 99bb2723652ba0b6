"""Signatures of SendGrid's webhooks: its own published example, keys of ours, and what others make of them."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lokole.mail.errors import Refused
from lokole.server import signed_webhook
from lokole.server.signed_webhook import SIGNATURE, TIMESTAMP, check, load_key

# the example in SendGrid's own library (sendgrid-python, MIT)
PUBLIC = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
SIGNED = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
AT = "1600112502"
PAYLOAD = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
THEN = datetime.fromtimestamp(int(AT), UTC)


def signed(key: ec.EllipticCurvePrivateKey, body: bytes, at: datetime) -> dict[str, str]:
    """The two headers, made with the library's one-call signing and not with a digest of ours."""
    stamp = str(int(at.timestamp()))
    made = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {SIGNATURE: base64.b64encode(made).decode(), TIMESTAMP: stamp}


def public_text(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half as SendGrid shows it."""
    encoded = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(encoded).decode()


def test_the_published_example_is_right() -> None:
    body = io.BytesIO(PAYLOAD)
    check(load_key(PUBLIC), {SIGNATURE: SIGNED, TIMESTAMP: AT}, body, THEN + timedelta(hours=20))
    assert body.tell() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"body": PAYLOAD[:-2]},
        {"body": PAYLOAD + b" "},
        {"at": "1600112503"},
        {"at": "timestamp"},
        {"at": ""},
        {"signature": ""},
        {
            "signature": "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH3j/0="
        },
        {"signature": "nonsense!"},
        {"signature": SIGNED[:-8]},
        {"now": THEN + timedelta(days=5)},
        {"now": THEN - timedelta(days=5)},
    ],
)
def test_anything_else_is_refused(changes: dict[str, object]) -> None:
    told = {"body": PAYLOAD, "at": AT, "signature": SIGNED, "now": THEN} | changes
    headers = {SIGNATURE: str(told["signature"]), TIMESTAMP: str(told["at"])}
    with pytest.raises(Refused) as caught:
        check(load_key(PUBLIC), headers, io.BytesIO(told["body"]), told["now"])  # type: ignore[arg-type]
    assert caught.value.code == "unsigned"


def test_another_key_is_another_signer() -> None:
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    body = b"x" * (signed_webhook._CHUNK + 1)
    check(load_key(public_text(ours)), signed(ours, body, THEN), io.BytesIO(body), THEN)
    with pytest.raises(Refused):
        check(load_key(public_text(ours)), signed(theirs, body, THEN), io.BytesIO(body), THEN)


def test_a_key_is_read_with_and_without_its_frame_and_only_of_the_right_curve() -> None:
    frame = f"-----BEGIN PUBLIC KEY-----\n{PUBLIC[:64]}\n{PUBLIC[64:]}\n-----END PUBLIC KEY-----\n"
    assert load_key(frame).public_numbers() == load_key(PUBLIC).public_numbers()
    other = public_text(ec.generate_private_key(ec.SECP384R1()))
    for text in ("", "SG.key", other, PUBLIC[:-10]):
        with pytest.raises(ValueError, match="public key"):
            load_key(text)
