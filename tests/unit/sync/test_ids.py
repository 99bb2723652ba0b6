from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lokole.mail.model import Attachment, Contact, Email
from lokole.sync.ids import SERVER_ORIGIN, email_id, letter_print
from tests.unit.sync.sealed_samples import DEVICE, EMAIL


def test_ids_stay_what_they_are() -> None:
    # Both ends derive them: a change here is another protocol.
    assert email_id(DEVICE, 7, 1).hex() == "6ab1f3260781d1babd415d7093b894a2"
    assert email_id(SERVER_ORIGIN, 2**63 - 1, 2**40).hex() == "420df93f4f156acc72bc967595fff316"


def test_no_two_origins_epochs_or_counts_share_an_id() -> None:
    made = {
        email_id(origin, epoch, n)
        for origin in ("a", "a\0", "server", "")
        for epoch in (0, 1, 2**63)
        for n in (0, 1, 256)
    }
    assert len(made) == 36


def test_the_print_stays_what_it_is() -> None:
    assert letter_print(EMAIL).hex() == "bd420e050d5a8e741144adea3f6a1774"


def test_the_print_does_not_care_how_a_letter_was_packed() -> None:
    reordered = replace(EMAIL, to=tuple(reversed((*EMAIL.to, Contact("c@d.e")))))
    assert letter_print(reordered) == letter_print(replace(EMAIL, to=(*EMAIL.to, Contact("c@d.e"))))
    assert EMAIL.sent_at is not None
    for same in (
        replace(EMAIL, sent_at=EMAIL.sent_at.replace(second=0)),
        replace(EMAIL, sender=Contact(EMAIL.sender.address, "another name")),
        replace(EMAIL, message_id="<x@y>", references=("<a@b>",)),
        replace(EMAIL, attachments=tuple(replace(one, content=b"smaller") for one in EMAIL.attachments)),
    ):
        assert letter_print(same) == letter_print(EMAIL)


@pytest.mark.parametrize(
    "changed",
    [
        replace(EMAIL, sender=Contact("eve@x.y")),
        replace(EMAIL, to=()),
        replace(EMAIL, to=(), cc=EMAIL.to),
        replace(EMAIL, to=(), bcc=EMAIL.to),
        replace(EMAIL, subject="other"),
        replace(EMAIL, subject="", body="hé<p>x</p>"),
        replace(EMAIL, body="other"),
        replace(EMAIL, sent_at=None),
        replace(EMAIL, sent_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(minutes=1)),
        replace(EMAIL, attachments=()),
        replace(EMAIL, attachments=(*EMAIL.attachments, Attachment("c", b""))),
        Email(Contact("")),
    ],
)
def test_another_letter_has_another_print(changed: Email) -> None:
    assert letter_print(changed) != letter_print(EMAIL)


def test_the_protocol_shows_what_is_fixed_here() -> None:
    shown = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert f"Letter 1 of `{DEVICE}` in epoch 7 is `{email_id(DEVICE, 7, 1).hex()}`." in shown
    assert f"has the print `{letter_print(EMAIL).hex()}`." in shown
