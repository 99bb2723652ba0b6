"""Rspamd's verdicts, from a fake with its protocol's shapes; and what becomes of nonsense, slowness and silence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lokole.adapters.judge.rspamd import RspamdJudge
from lokole.mail.errors import Temporary
from lokole.ports.judge import Advice, Opinion, Posted
from tests.fakes.rspamd import FakeRspamd
from tests.fakes.web_server import DRIP, HANG_UP, NONSENSE, Said

RAW = b"DKIM-Signature: v=1; d=Lists.example; s=mail\r\nFrom: Bob <bob@example.org>\r\n\r\nhello\r\n"
LETTER = Posted("bob@example.org", ("ann@a.lokole.test", "carl@a.lokole.test"), RAW, "192.0.2.7", "mail.example.org")


@pytest.fixture
def rspamd() -> Iterator[FakeRspamd]:
    with FakeRspamd() as found:
        yield found


@pytest.fixture
def judge(rspamd: FakeRspamd) -> RspamdJudge:
    return RspamdJudge(rspamd.url, host_name="mx.lokole.test", deadline=1.0)


def test_it_is_told_the_whole_envelope_and_the_letter_byte_for_byte(rspamd: FakeRspamd, judge: RspamdJudge) -> None:
    judge.judge(LETTER)
    (asked,) = rspamd.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/checkv2", RAW)
    assert rspamd.heard == [
        {
            "from": "bob@example.org",
            "rcpt": "carl@a.lokole.test",  # the last of two fields of one name
            "ip": "192.0.2.7",
            "helo": "mail.example.org",
            "mta-name": "mx.lokole.test",
        }
    ]


def test_the_null_sender_and_letters_of_any_alphabet_are_asked_about(rspamd: FakeRspamd, judge: RspamdJudge) -> None:
    judge.judge(Posted("", ("зоя@a.lokole.test",), RAW, "", "x\r\nIP: 127.0.0.1"))
    (heard,) = rspamd.heard
    assert (heard["from"], heard["ip"], heard["helo"]) == ("<>", "", "xIP: 127.0.0.1")


def test_who_is_proven_is_read_from_its_symbols(rspamd: FakeRspamd, judge: RspamdJudge) -> None:
    assert judge.judge(LETTER) == Opinion(score=0.0)
    rspamd.allowed["example.org"] = {"192.0.2.7"}
    rspamd.signed = {"lists.example"}
    assert judge.judge(LETTER) == Opinion(True, frozenset({"lists.example", "example.org"}), -0.9)


@pytest.mark.parametrize(
    ("action", "advice"),
    [
        ("no action", Advice.TAKE),
        ("greylist", Advice.GREYLIST),
        ("soft reject", Advice.LATER),
        ("add header", Advice.JUNK),
        ("rewrite subject", Advice.JUNK),
        ("reject", Advice.JUNK),
        ("quarantine", Advice.JUNK),
        ("discard", Advice.JUNK),
        ("an action of their own", Advice.JUNK),
    ],
)
def test_nothing_that_it_advises_loses_a_letter(
    rspamd: FakeRspamd, judge: RspamdJudge, action: str, advice: Advice
) -> None:
    rspamd.action = action
    assert judge.judge(LETTER).advice is advice


@pytest.mark.parametrize(
    "trouble",
    [
        HANG_UP,
        NONSENSE,
        DRIP,
        Said(200, {}, seconds=3),
        Said(200, {"error": "Cannot parse message"}),
        Said(200, {"action": "reject"}),
        Said(200, {"action": "reject", "score": "high", "symbols": {}}),
        Said(200, {"action": None, "score": 1, "symbols": {}}),
        Said(200, {"action": "reject", "score": 1, "symbols": []}),
        Said(200, ["reject"]),
        Said(200, b""),
        Said(403, {"error": "unauthorized"}),
        Said(500, {"error": "out of memory"}),
        Said(302, None, {"Location": "https://example.org/"}),
    ],
)
def test_whatever_is_no_verdict_is_none(rspamd: FakeRspamd, judge: RspamdJudge, trouble: Said) -> None:
    rspamd.troubles = [trouble]
    with pytest.raises(Temporary) as caught:
        judge.judge(LETTER)
    assert "bob" not in str(caught.value)
    assert judge.judge(LETTER).score == 0.0


def test_odd_symbols_prove_nobody(rspamd: FakeRspamd, judge: RspamdJudge) -> None:
    symbols = {"R_DKIM_ALLOW": {"options": [1, None, " ", ":s=x"]}, "DMARC_POLICY_ALLOW": "example.org"}
    rspamd.troubles = [Said(200, {"action": "no action", "score": 2, "symbols": symbols})]
    assert judge.judge(LETTER) == Opinion(score=2.0)


def test_whether_it_is_there_can_be_asked(rspamd: FakeRspamd, judge: RspamdJudge) -> None:
    assert judge.check() == "Rspamd answers"
    rspamd.troubles = [Said(404)]
    with pytest.raises(Temporary):
        judge.check()
