from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lokole.mail.errors import Refused
from lokole.sync import signing

SEED = bytes(range(32))
DEVICE = "6f1c1a52-6f0c-4d5e-9d43-5b6a7b8c9d0e"
TYPE = "application/vnd.lokole.package.v1+tar.zstd"
REQUEST: dict[str, Any] = {
    "method": "PUT",
    "path_and_query": "/api/exchange/packages/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "body_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "headers": {"Content-Type": TYPE, "Lokole-Epoch": "7", "Lokole-Seq": "1"},
}

PUT_VECTOR = (
    "Lokole device=6f1c1a52-6f0c-4d5e-9d43-5b6a7b8c9d0e,counter=41,"
    "signature=l3i0CCAzN2Z2eZsUlnc0Jn4I9U9mczPKXRQGmxF4nyrGRezSer4VDklO1rrufqxxqQHmGeOIThaDECao4c3ABQ"
)
GET_VECTOR = (
    "Lokole device=6f1c1a52-6f0c-4d5e-9d43-5b6a7b8c9d0e,counter=42,"
    "signature=BSOKc1O5gSrNozes2NCMB2vtH6Q2tLRP9UjWZT0Bu0f5H6iXXaHwLbmJB2wTcyzIS_RpKrHdvDj_rXIM7kVvBw"
)


def sign(**changes: Any) -> str:
    return signing.sign_request(SEED, **({"device_id": DEVICE, "counter": 41, **REQUEST} | changes))


def verified(header: str, **changes: Any) -> bool:
    key = changes.pop("key", signing.public_key(SEED))
    return signing.verify(key, signing.parse_authorization(header), **(REQUEST | changes))


def test_a_signed_request_is_verified() -> None:
    signed = signing.parse_authorization(sign())
    assert (signed.device_id, signed.counter) == (DEVICE, 41)
    assert verified(sign())
    assert verified(
        sign(method="put"), method="Put", headers={"LOKOLE-SEQ": "1 ", "lokole-epoch": "7", "content-type": TYPE}
    )
    assert verified(sign(headers=None), headers={})


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "POST"},
        {"path_and_query": "/api/exchange/packages/x"},
        {"path_and_query": REQUEST["path_and_query"] + "?"},
        {"body_sha256": signing.EMPTY_BODY_SHA256},
        {"headers": {}},
        {"headers": REQUEST["headers"] | {"Lokole-Seq": "2"}},
        {"headers": REQUEST["headers"] | {"More": "x"}},
        {"key": signing.public_key(bytes(32))},
        {"key": b"short"},
        {"body_sha256": "with\nline"},
    ],
)
def test_nothing_of_a_signed_request_can_be_changed(changes: dict[str, Any]) -> None:
    assert not verified(sign(), **changes)


def test_counter_and_device_are_signed() -> None:
    header = sign()
    assert not verified(header.replace("counter=41", "counter=42"))
    assert not verified(header.replace(DEVICE, DEVICE.replace("6f1c", "6f1d")))


def test_no_two_requests_have_the_same_signed_text() -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        sign(path_and_query="/a\nb")
    with pytest.raises(ValueError, match="visible ASCII"):
        sign(counter=-1)
    with pytest.raises(ValueError, match="visible ASCII"):
        sign(counter=2**63)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "Lokole",
        "Lokole device=x,counter=1",
        "Lokole device=x,counter=1,signature=" + "A" * 85,
        "Lokole device=x,counter=1,signature=" + "A" * 85 + "B",  # not the canonical form of 64 bytes
        "Lokole device=x,counter=1,signature=" + "A" * 87,
        "Lokole device=x,counter=01,signature=" + "A" * 86,
        "Lokole device=x,counter=-1,signature=" + "A" * 86,
        "Lokole device=x,counter=9999999999999999999,signature=" + "A" * 86,
        "Lokole device=x,counter=\u0661,signature=" + "A" * 86,
        "Lokole device=x y,counter=1,signature=" + "A" * 86,
        "Lokole device=" + "x" * 65 + ",counter=1,signature=" + "A" * 86,
        "Lokole counter=1,device=x,signature=" + "A" * 86,
        "Lokole device=x,counter=1,signature=" + "A" * 86 + ",more=1",
        "Lokole" + " " * 10_000,
    ],
)
def test_an_authorization_that_is_none_of_ours_is_refused(value: str) -> None:
    with pytest.raises(Refused) as refused:
        signing.parse_authorization(value)
    assert refused.value.code == "authorization"


def test_spaces_and_padding_in_the_header_do_no_harm() -> None:
    header = sign().replace(",", ", ").replace("Lokole", "lokole") + "=="
    assert verified(header)


def test_a_key_comes_from_the_injected_randomness_only() -> None:
    assert signing.new_key(lambda n: bytes(n)) == bytes(32)
    with pytest.raises(ValueError, match="wrong number"):
        signing.new_key(lambda n: bytes(n - 1))


def test_a_public_key_is_read_in_every_way_it_is_written() -> None:
    key = signing.public_key(b"\xff" * 32)
    for text in (
        signing.encode_key(key),
        base64.b64encode(key).decode(),
        base64.urlsafe_b64encode(key).decode(),
        f" {base64.b64encode(key).decode()}\n",
    ):
        assert signing.decode_key(text) == key
    for wrong in ("", "AAAA", "A" * 44, "é" * 43, signing.encode_key(key) + "A"):
        with pytest.raises(Refused):
            signing.decode_key(wrong)


def test_the_vectors_of_the_protocol_hold() -> None:
    """The same values stand in docs/protocol.md 4.2."""
    assert signing.encode_key(signing.public_key(SEED)) == "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    assert sign() == PUT_VECTOR
    assert (
        signing.sign_request(
            SEED,
            device_id=DEVICE,
            method="GET",
            path_and_query="/api/exchange/packages?after=12",
            body_sha256=signing.EMPTY_BODY_SHA256,
            counter=42,
        )
        == GET_VECTOR
    )
    protocol = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
    assert PUT_VECTOR in protocol
    assert GET_VECTOR in protocol
