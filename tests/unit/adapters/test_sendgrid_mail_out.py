"""Letters out by SendGrid's Web API, against a SendGrid that holds them against the published schema."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.mail.errors import Permanent, Temporary
from lokole.mail.mime import build_mime
from lokole.mail.model import Attachment, Contact, Email
from lokole.ports.mail_out import LiftingMailOut, Recipient, RefusedRecipients, TogetherMailOut
from tests.sendgrid import KEY, SendGrid, sendgrid

BACK = f"bounce-{'a' * 26}@a.lokole.test"
PICTURE = Attachment("well.png", b"\x89PNG\r\n", "image/png", cid="well@a.lokole.test")
LETTER = Email(
    sender=Contact("ann@a.lokole.test", "Ann Ndombe, teacher"),
    to=(Contact("bob@example.org", "Bob"), Contact("eve@example.com")),
    cc=(Contact("carl@example.net", "Carl"),),
    reply_to=(Contact("school@a.lokole.test"),),
    subject="Le puits réparé",
    body='<p>Il est <b>réparé</b>. <img src="cid:well@a.lokole.test"></p>',
    attachments=(
        PICTURE,
        Attachment("plan.pdf", b"%PDF\x00", "application/pdf"),
        Attachment("empty.txt", b"", "text/plain"),
    ),
    in_reply_to="<1@example.org>",
    references=("<0@example.org>", "<1@example.org>"),
)
EVERYBODY = [
    Recipient("bob@example.org", "to"),
    Recipient("eve@example.com", "to"),
    Recipient("carl@example.net", "cc"),
    Recipient("secret@example.net", "bcc"),
]


def mime(letter: Email = LETTER) -> bytes:
    return build_mime(letter, message_id="<x1@a.lokole.test>", date=datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def world() -> Iterator[SendGrid]:
    with sendgrid() as found:
        yield found


def out(world: SendGrid, key: str = KEY, timeout: float = 2.0) -> SendGridMailOut:
    return SendGridMailOut(key, base_url=world.url, timeout=timeout)


def send(world: SendGrid, message: bytes = b"", recipients: list[Recipient] | None = None, **how: object) -> None:
    way = out(world, **how)  # type: ignore[arg-type]
    way.send_together(sender=BACK, recipients=recipients or EVERYBODY, message=message or mime())


def test_all_recipients_of_a_letter_go_in_one_call_and_see_each_other_but_nobody_in_bcc(world: SendGrid) -> None:
    send(world)
    (mail,) = world.taken
    assert mail["personalizations"] == [
        {
            "to": [{"email": "bob@example.org", "name": "Bob"}, {"email": "eve@example.com"}],
            "cc": [{"email": "carl@example.net", "name": "Carl"}],
            "bcc": [{"email": "secret@example.net"}],
            "custom_args": {"lokole_envelope": BACK},
        }
    ]
    assert mail["from"] == {"email": "ann@a.lokole.test", "name": "Ann Ndombe, teacher"}
    assert mail["reply_to"] == {"email": "school@a.lokole.test"}
    assert mail["subject"] == "Le puits réparé"
    assert mail["headers"] == {
        "Message-ID": "<x1@a.lokole.test>",
        "In-Reply-To": "<1@example.org>",
        "References": "<0@example.org> <1@example.org>",
    }
    assert not any(one.get("enable") for one in mail["tracking_settings"].values())


def test_text_and_files_are_what_they_were(world: SendGrid) -> None:
    send(world)
    (mail,) = world.taken
    kinds = {one["type"]: one["value"] for one in mail["content"]}
    assert "Il est <b>réparé</b>" in kinds["text/html"]
    assert "Il est réparé" in kinds["text/plain"]
    files = {one["filename"]: one for one in mail["attachments"]}
    assert files.keys() == {"well.png", "plan.pdf"}  # SendGrid takes no file without a byte
    assert (files["well.png"]["disposition"], files["well.png"]["content_id"]) == ("inline", "well@a.lokole.test")
    assert base64.b64decode(files["plan.pdf"]["content"]) == b"%PDF\x00"
    assert files["plan.pdf"]["type"] == "application/pdf"


@pytest.mark.parametrize(
    ("recipients", "copies"),
    [
        ([Recipient("carl@example.net", "cc")], [["carl@example.net"]]),
        (
            [Recipient("s1@example.net", "bcc"), Recipient("s2@example.net", "bcc")],
            [["s1@example.net"], ["s2@example.net"]],
        ),
    ],
)
def test_without_anybody_in_to_nobody_in_bcc_is_shown_to_another(
    world: SendGrid, recipients: list[Recipient], copies: list[list[str]]
) -> None:
    send(world, recipients=recipients)
    found = [[one["email"] for one in copy["to"]] for copy in world.taken[0]["personalizations"]]
    assert found == copies


def test_an_empty_letter_and_a_letter_in_a_letter_are_taken(world: SendGrid) -> None:
    inner = b"From: a@example.org\r\nSubject: inner\r\n\r\nhello\r\n"
    bare = Email(sender=Contact("ann@a.lokole.test"), attachments=(Attachment("a.eml", inner, "message/rfc822"),))
    send(world, mime(bare))
    (mail,) = world.taken
    assert base64.b64decode(mail["attachments"][0]["content"]) == inner
    assert mail["subject"] == "…"


def test_a_recipient_who_is_refused_by_name_is_named(world: SendGrid) -> None:
    with pytest.raises(RefusedRecipients) as caught:
        send(world, recipients=[*EVERYBODY, Recipient("élise@example.org", "cc")])
    assert caught.value.addresses == ("élise@example.org",)
    assert caught.value.reason == "5.1.3 Does not contain a valid address."
    assert world.taken == []


def test_a_single_recipient_who_is_refused_is_a_permanent_failure(world: SendGrid) -> None:
    with pytest.raises(Permanent) as caught:
        out(world).send(sender="", recipient="nonsense", message=mime())
    assert not isinstance(caught.value, RefusedRecipients)
    assert caught.value.reason.startswith("5.1.3 ")


@pytest.mark.parametrize(
    "what", ["never", "nonsense", "drop-after-taking", 200, 204, 301, 408, 429, 500, 502, 503, 400]
)
def test_what_is_no_word_of_sendgrid_about_the_letter_is_temporary(world: SendGrid, what: int | str) -> None:
    world.next = [what]
    with pytest.raises(Temporary):
        send(world, timeout=0.3)
    assert len(world.taken) == (what == "drop-after-taking")
    send(world)


def test_a_slow_sendgrid_is_waited_for(world: SendGrid) -> None:
    world.next = ["slowly"]
    send(world)
    assert len(world.taken) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"Retry-After": "120"}, 120), ({"X-RateLimit-Reset": "1060"}, 60), ({"X-RateLimit-Reset": "1"}, 1), ({}, None)],
)
def test_too_many_says_when_to_come_again(world: SendGrid, headers: dict[str, str], seconds: float | None) -> None:
    world.next, world.headers = [429], headers
    way = SendGridMailOut(KEY, base_url=world.url, now=lambda: 1000.0)
    with pytest.raises(Temporary) as caught:
        way.send(sender=BACK, recipient="bob@example.org", message=mime())
    assert caught.value.retry_after == seconds


def test_what_only_the_operator_can_mend_is_temporary_and_says_what_to_do(world: SendGrid) -> None:
    with pytest.raises(Temporary) as unknown:
        send(world, key="SG.of-yesterday")
    assert unknown.value.operator is not None and "LOKOLE_SENDGRID_KEY" in unknown.value.operator
    world.domains = {"b.lokole.test"}
    with pytest.raises(Temporary) as foreign:
        send(world)
    assert foreign.value.operator is not None and "authentication" in foreign.value.operator
    assert "(“The from address does not match a verified Sender Identity.”)" in foreign.value.operator
    world.next = [401]  # a plan that is used up is told so too
    with pytest.raises(Temporary) as used_up:
        send(world)
    assert used_up.value.operator is not None and "(“as told”)" in used_up.value.operator
    with pytest.raises(Temporary) as lost:
        way = SendGridMailOut(KEY, base_url=world.url + "/elsewhere")
        way.send(sender=BACK, recipient="bob@example.org", message=mime())
    assert lost.value.operator is not None and "LOKOLE_MAIL_OUT" in lost.value.operator
    assert "SG." not in "".join(str(one.value) + str(one.value.operator) for one in (unknown, foreign, lost))


def test_a_letter_that_is_too_large_is_refused_here_or_there(world: SendGrid) -> None:
    large = Email(sender=Contact("ann@a.lokole.test"), attachments=(Attachment("film.mp4", bytes(25_000_000)),))
    with pytest.raises(Permanent) as caught:
        send(world, mime(large))
    assert world.calls == 0
    assert caught.value.reason == "5.3.4 the letter is too large"
    world.max_bytes = 500
    with pytest.raises(Permanent, match="larger"):
        send(world)


def test_it_is_read_from_the_settings() -> None:
    assert isinstance(SendGridMailOut.from_url("sendgrid:", key=KEY), TogetherMailOut)
    with pytest.raises(ValueError, match="LOKOLE_SENDGRID_KEY"):
        SendGridMailOut.from_url("sendgrid://api.eu.sendgrid.com", key=None)
    with pytest.raises(ValueError, match="sendgrid"):
        SendGridMailOut.from_url("smtp://relay", key=KEY)


def test_an_address_is_taken_off_the_lists_that_its_cause_puts_it_on(world: SendGrid) -> None:
    address = "bob+news/x@example.org"
    for held in world.held.values():
        held.update((address, "eve@example.com"))
    way = out(world)
    assert isinstance(way, LiftingMailOut)
    way.lift(address, "bounce")
    on = sorted(name for name, held in world.held.items() if address in held)
    assert on == ["asm/suppressions/global", "suppression/spam_reports"]
    way.lift(address, "complaint")
    way.lift(address, "unsubscribed")
    way.lift(address, "bounce")  # on none any more
    assert list(world.held.values()) == [{"eve@example.com"}] * 4


@pytest.mark.parametrize("what", ["never", 429, 500, 302])
def test_lists_that_cannot_be_changed_now_are_for_later(world: SendGrid, what: int | str) -> None:
    world.held["suppression/spam_reports"].add("bob@example.org")
    world.next = [what]
    way = out(world, timeout=0.3)
    with pytest.raises(Temporary):
        way.lift("bob@example.org", "complaint")
    way.lift("bob@example.org", "complaint")
    assert world.held["suppression/spam_reports"] == set()


def test_a_key_that_may_change_no_list_is_for_the_operator(world: SendGrid) -> None:
    world.may_lift = False
    with pytest.raises(Temporary) as caught:
        out(world).lift("bob@example.org", "complaint")
    assert caught.value.operator is not None and "Suppressions" in caught.value.operator
    world.next = [400]
    with pytest.raises(Permanent):
        out(world).lift("bob@example.org", "complaint")
