"""Records at Cloudflare, against a Cloudflare with state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lokole.adapters.dns.cloudflare import COMMENT, CloudflareDns, unquoted_text
from lokole.adapters.web_api import WebApi
from lokole.mail.errors import Permanent, Temporary
from lokole.ports.dns import DnsRecord, quoted_text
from tests.fakes.cloudflare import KEY, TOKEN, USER, FakeCloudflare
from tests.fakes.web_server import DRIP, HANG_UP, LOST_ANSWER, NONSENSE, Said

DOMAIN = "village.lokole.ca"
MX = DnsRecord(DOMAIN, "MX", "mx.sendgrid.net", 10)
SPF = DnsRecord(DOMAIN, "TXT", "v=spf1 include:sendgrid.net ~all")
DMARC = DnsRecord(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=none")
DKIM = DnsRecord(f"s1._domainkey.{DOMAIN}", "TXT", "v=DKIM1; k=rsa; p=" + "A" * 392)
ALL = [MX, SPF, DMARC, DKIM]


@pytest.fixture
def cloudflare() -> Iterator[FakeCloudflare]:
    with FakeCloudflare("lokole.ca", "ca.example") as fake:
        yield fake


def dns(fake: FakeCloudflare, **changes: Any) -> CloudflareDns:
    return CloudflareDns(url=fake.url, **(changes or {"token": TOKEN}))


def test_records_are_made_once_however_often_and_removed_again(cloudflare: FakeCloudflare) -> None:
    for _ in range(3):
        dns(cloudflare).publish(DOMAIN, ALL)
    assert len(cloudflare.zones["lokole.ca"]) == len(ALL)
    assert f"{DOMAIN} MX 10 mx.sendgrid.net" in cloudflare.lines("lokole.ca")
    assert {one["comment"] for one in cloudflare.zones["lokole.ca"].values()} == {COMMENT}
    for _ in range(2):
        dns(cloudflare).withdraw(DOMAIN, ALL)
    assert cloudflare.lines("lokole.ca") == set()


def test_the_global_key_of_the_first_lokole_does_it_too_and_a_wrong_one_is_for_later(
    cloudflare: FakeCloudflare,
) -> None:
    dns(cloudflare, user=USER, key=KEY).publish(DOMAIN, [MX])
    assert len(cloudflare.lines("lokole.ca")) == 1
    for wrong in ({"token": "wrong"}, {"user": USER, "key": "wrong"}):
        with pytest.raises(Temporary) as caught:
            dns(cloudflare, **wrong).publish(DOMAIN, [MX])
        assert "wrong" not in str(caught.value)


def test_a_token_that_may_only_read_makes_nothing_and_is_for_later(cloudflare: FakeCloudflare) -> None:
    cloudflare.may_edit = False
    with pytest.raises(Temporary):
        dns(cloudflare).publish(DOMAIN, [MX])
    cloudflare.may_edit = True
    dns(cloudflare).publish(DOMAIN, [MX])


def test_the_zone_is_the_longest_end_of_the_domain(cloudflare: FakeCloudflare) -> None:
    cloudflare.zones["north.lokole.ca"] = {}
    record = DnsRecord("a.north.lokole.ca", "MX", "mx.sendgrid.net", 10)
    dns(cloudflare).publish("a.north.lokole.ca", [record])
    assert cloudflare.lines("north.lokole.ca") == {"a.north.lokole.ca MX 10 mx.sendgrid.net"}
    assert cloudflare.lines("lokole.ca") == set()
    with pytest.raises(Permanent):
        dns(cloudflare).publish("a.elsewhere.org", [MX])
    dns(cloudflare).withdraw("a.elsewhere.org", [MX])


def test_what_somebody_else_made_stays_and_so_does_the_box_next_door(cloudflare: FakeCloudflare) -> None:
    cloudflare.add("lokole.ca", "lokole.ca", "MX", "mx.elsewhere.org", priority=1)
    cloudflare.add("lokole.ca", DOMAIN, "A", "192.0.2.1")
    cloudflare.add("lokole.ca", DOMAIN, "TXT", '"some-site-verification=1"')
    for name in (f"other{DOMAIN}", f"sub.{DOMAIN}"):
        dns(cloudflare).publish(name, [DnsRecord(name, "MX", "mx.sendgrid.net", 10)])
    before = cloudflare.lines("lokole.ca")
    dns(cloudflare).publish(DOMAIN, ALL)
    dns(cloudflare).withdraw(DOMAIN, ALL)
    assert cloudflare.lines("lokole.ca") == before


def test_mail_that_goes_elsewhere_is_left_to_people(cloudflare: FakeCloudflare) -> None:
    cloudflare.add("lokole.ca", DOMAIN, "MX", "mx.elsewhere.org", priority=1)
    before = cloudflare.lines("lokole.ca")
    with pytest.raises(Permanent, match="elsewhere"):
        dns(cloudflare).publish(DOMAIN, ALL)
    assert cloudflare.lines("lokole.ca") == before


def test_the_mx_that_the_first_lokole_made_counts_and_goes_with_the_domain(cloudflare: FakeCloudflare) -> None:
    cloudflare.add("lokole.ca", DOMAIN, "MX", "MX.sendgrid.net.", priority=10)
    dns(cloudflare).publish(DOMAIN, [MX])
    assert len(cloudflare.lines("lokole.ca")) == 1
    dns(cloudflare).withdraw(DOMAIN, [MX])
    assert cloudflare.lines("lokole.ca") == set()


def test_a_policy_that_somebody_else_made_is_not_doubled(cloudflare: FakeCloudflare) -> None:
    cloudflare.add("lokole.ca", DOMAIN, "TXT", '"v=spf1 -all"')
    cloudflare.add("lokole.ca", DMARC.name, "TXT", "v=DMARC1;p=reject")
    dns(cloudflare).publish(DOMAIN, ALL)
    texts = [one["content"] for one in cloudflare.zones["lokole.ca"].values() if one["type"] == "TXT"]
    assert len(texts) == 3
    assert sum("spf1" in text for text in texts) == sum("DMARC1" in text for text in texts) == 1


def test_other_settings_replace_what_was_made_before(cloudflare: FakeCloudflare) -> None:
    dns(cloudflare).publish(DOMAIN, ALL)
    moved = [DnsRecord(DOMAIN, "MX", "mail.lokole.ca", 10), DnsRecord(DOMAIN, "TXT", "v=spf1 mx -all")]
    dns(cloudflare).publish(DOMAIN, moved)
    assert cloudflare.lines("lokole.ca") == {f"{DOMAIN} MX 10 mail.lokole.ca", f'{DOMAIN} TXT "v=spf1 mx -all"'}
    dns(cloudflare).withdraw(DOMAIN, [])
    assert cloudflare.lines("lokole.ca") == set()


def test_records_on_the_last_of_many_pages_are_found() -> None:
    with FakeCloudflare("lokole.ca", page=3) as cloudflare:
        for n in range(10):
            cloudflare.add("lokole.ca", DOMAIN, "TXT", f'"verification={n}"')
        for _ in range(2):
            dns(cloudflare).publish(DOMAIN, ALL)
        assert len(cloudflare.zones["lokole.ca"]) == 14
        dns(cloudflare).withdraw(DOMAIN, ALL)
        assert len(cloudflare.zones["lokole.ca"]) == 10


def test_a_lost_answer_and_a_race_leave_one_record(cloudflare: FakeCloudflare) -> None:
    asked = dns(cloudflare)
    lose_answer_of(cloudflare, "POST")
    with pytest.raises(Temporary):
        asked.publish(DOMAIN, [MX])
    asked.publish(DOMAIN, [MX])
    assert len(cloudflare.lines("lokole.ca")) == 1
    lose_answer_of(cloudflare, "DELETE")
    with pytest.raises(Temporary):
        asked.withdraw(DOMAIN, [MX])
    asked.withdraw(DOMAIN, [MX])
    asked._create(next(iter_zone(cloudflare)), MX)
    asked._create(next(iter_zone(cloudflare)), MX)  # another worker was a moment earlier
    assert len(cloudflare.lines("lokole.ca")) == 1


def iter_zone(cloudflare: FakeCloudflare) -> Iterator[str]:
    yield dns(cloudflare)._zone_of(DOMAIN)


def lose_answer_of(cloudflare: FakeCloudflare, method: str) -> None:
    """The next request of that method is carried out, and nobody hears of it."""
    answer = cloudflare.answer

    def lost(asked: Any) -> Said:
        said = answer(asked)
        if asked.method != method:
            return said
        cloudflare.answer = answer  # type: ignore[method-assign]
        return LOST_ANSWER

    cloudflare.answer = lost  # type: ignore[method-assign]


def test_whether_the_key_is_good_is_said(cloudflare: FakeCloudflare) -> None:
    assert (
        dns(cloudflare).check() == dns(cloudflare, user=USER, key=KEY).check() == "the key sees ca.example, lokole.ca"
    )
    with pytest.raises(Temporary):
        dns(cloudflare, token="wrong").check()
    cloudflare.token_status = "disabled"
    with pytest.raises(Permanent, match="not active"):
        dns(cloudflare).check()
    cloudflare.token_status = "active"
    cloudflare.is_of_account = True
    assert dns(cloudflare).check() == "the key sees ca.example, lokole.ca"
    cloudflare.zones.clear()
    with pytest.raises(Permanent, match="no zone"):
        dns(cloudflare).check()


LATER = [
    Said(429, headers={"Retry-After": "11"}),
    Said(500),
    Said(200, {"success": False, "errors": [], "result": None}),
    Said(200, {"success": "yes", "result": []}),
    Said(200, [1]),
    Said(200),
    Said(403, {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}),
    Said(400, {"success": False, "errors": [{"code": 6003, "message": "Invalid request headers"}]}),
    Said(302, headers={"Location": "http://127.0.0.1:1/"}),
    HANG_UP,
    NONSENSE,
    DRIP,
]


@pytest.mark.parametrize("trouble", LATER, ids=range(len(LATER)))
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_trouble_is_for_later_and_a_repeat_makes_it_good(cloudflare: FakeCloudflare, trouble: Said, at: int) -> None:
    driver = dns(cloudflare)
    driver._api = WebApi("Cloudflare", cloudflare.url, {"Authorization": f"Bearer {TOKEN}"}, deadline=1.0)
    answer, count = cloudflare.answer, iter(range(1000))

    def answers(asked: Any) -> Said:
        return trouble if next(count) == at else answer(asked)

    cloudflare.answer = answers  # type: ignore[method-assign]
    with pytest.raises(Temporary) as caught:
        driver.publish(DOMAIN, [MX])
    assert TOKEN not in str(caught.value)
    if trouble.status == 429:
        assert caught.value.retry_after == 11
    driver.publish(DOMAIN, [MX])
    assert len(cloudflare.lines("lokole.ca")) == 1


def test_what_cloudflare_refuses_for_good_is_given_up(cloudflare: FakeCloudflare) -> None:
    answer = cloudflare.answer

    def refuse(asked: Any) -> Said:
        body = {"success": False, "errors": [{"code": 81045, "message": "The record quota has been exceeded."}]}
        return Said(400, body) if asked.method == "POST" else answer(asked)

    cloudflare.answer = refuse  # type: ignore[method-assign]
    with pytest.raises(Permanent, match="81045"):
        dns(cloudflare).publish(DOMAIN, [MX])


def test_a_list_without_end_ends(cloudflare: FakeCloudflare) -> None:
    answer = cloudflare.answer

    def endless(asked: Any) -> Said:
        if asked.path.endswith("dns_records"):
            result = [{"id": "1", "type": "TXT", "name": "x.lokole.ca", "content": "x"}]
            body = {"success": True, "errors": [], "result": result, "result_info": {"total_pages": 10**9}}
            return Said(200, body)
        return answer(asked)

    cloudflare.answer = endless  # type: ignore[method-assign]
    with pytest.raises(Temporary, match="no end"):
        dns(cloudflare).publish(DOMAIN, [MX])


@pytest.mark.parametrize("text", ["", "plain", 'with "marks" and \\', "x" * 255, "y" * 600, "v=spf1 -all"])
def test_a_text_is_itself_after_it_was_quoted(text: str) -> None:
    assert unquoted_text(quoted_text(text)) == text
    assert unquoted_text("bare " + text) == "bare " + text
