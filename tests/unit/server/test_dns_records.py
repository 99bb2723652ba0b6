"""Which DNS records a domain needs, and whether they are found, by a real name server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lokole.adapters.dns.memory import MemoryDns
from lokole.adapters.resolver.dnspython import DnsPythonResolver
from lokole.cli import main
from lokole.config import Url
from lokole.mail.errors import Temporary
from lokole.ports.dns import DnsRecord
from lokole.server.dns_records import check_records, wanted_records
from tests.servers_dns import name_server
from tests.servers_mail import free_port
from tests.unit.server.place import OPERATOR, place_in

DOMAIN = "a.lokole.test"
SPF = "v=spf1 include:sendgrid.net ~all"
DMARC = "v=DMARC1; p=none; rua=mailto:d@example.org"
POLICIES: dict[str, Any] = {"spf": SPF, "dmarc": DMARC, "mail_hosts": ("MX1.lokole.test.", "mx2.lokole.test")}
HOSTS = [(10, "mx1.lokole.test"), (20, "mx2.lokole.test")]


def states(folder: Path, port: int, **changes: Any) -> list[tuple[str, str]]:
    with place_in(folder, dns=Url("manual:"), resolver=f"127.0.0.1:{port}", **(changes or POLICIES)) as place:
        found = check_records(place.ports, DOMAIN)
        return [(one.wanted.type + one.wanted.name.removesuffix(DOMAIN), one.state) for one in found]


def test_a_domain_needs_what_the_settings_say(tmp_path: Path) -> None:
    with place_in(tmp_path, **POLICIES) as place:
        assert [one.zone_line for one in wanted_records(place.ports, DOMAIN)] == [
            f"{DOMAIN}. 3600 IN MX 10 mx1.lokole.test.",
            f"{DOMAIN}. 3600 IN MX 20 mx2.lokole.test.",
            f'{DOMAIN}. 3600 IN TXT "{SPF}"',
            f'_dmarc.{DOMAIN}. 3600 IN TXT "{DMARC}"',
        ]
    with place_in(tmp_path / "b", host_name="mail.lokole.test") as place:
        assert wanted_records(place.ports, DOMAIN) == [DnsRecord(DOMAIN, "MX", "mail.lokole.test", 10)]
    with place_in(tmp_path / "c") as place:
        assert wanted_records(place.ports, DOMAIN) == [], "nobody outside knows localhost"


def test_a_domain_whose_letters_are_signed_here_publishes_its_key(tmp_path: Path) -> None:
    signing: dict[str, Any] = {"mail_out": Url("mx:"), "dns": Url("memory:"), "host_name": "mail.lokole.test"}
    with place_in(tmp_path, **signing) as place:
        place.register(DOMAIN)
        mx, key = wanted_records(place.ports, DOMAIN)
        assert (mx.type, key.type, key.name) == ("MX", "TXT", f"lokole._domainkey.{DOMAIN}")
        assert key.content.startswith("v=DKIM1; k=rsa; p=")
        assert wanted_records(place.ports, DOMAIN) == [mx, key], "the key stays"
        place.work()
        assert [one.state for one in check_records(place.ports, DOMAIN)] == ["right", "right"]
    with place_in(tmp_path / "relay", mail_out=Url("smtp://localhost:25"), host_name="mail.lokole.test") as place:
        place.register(DOMAIN)
        assert [one.type for one in wanted_records(place.ports, DOMAIN)] == ["MX"], "the relay signs"


def test_what_is_there_is_right(tmp_path: Path) -> None:
    txt = [
        (DOMAIN, "some-verification=1"),
        (DOMAIN, SPF),
        (f"_dmarc.{DOMAIN}", "v=DMARC1;p=none;rua=mailto:d@example.org;"),
    ]
    with name_server(mx={DOMAIN: HOSTS}, txt=txt) as port:
        assert {state for _, state in states(tmp_path, port)} == {"right"}


def test_what_is_missing_or_different_is_said(tmp_path: Path) -> None:
    with name_server() as port:
        assert {state for _, state in states(tmp_path / "a", port)} == {"missing"}
    two = [(DOMAIN, SPF), (DOMAIN, "v=spf1 -all"), (f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject")]
    foreign = {DOMAIN: [(10, "mx1.lokole.test"), (5, "mx.elsewhere.example")]}
    with name_server(mx=foreign, txt=two) as port:
        assert states(tmp_path / "b", port) == [
            ("MX", "different"), ("MX", "different"), ("TXT", "different"), ("TXT_dmarc.", "different"),
        ]  # fmt: skip


def test_a_name_server_that_does_not_answer_is_unknown(tmp_path: Path) -> None:
    resolver = DnsPythonResolver(("127.0.0.1", free_port()), seconds=0.5)
    with pytest.raises(Temporary):
        resolver.look_up(DOMAIN, "MX")
    with place_in(tmp_path, dns=Url("manual:"), adapters={"resolver": resolver}, mail_hosts=("mx.test",)) as place:
        assert [one.state for one in check_records(place.ports, DOMAIN)] == ["unknown"]


def test_long_texts_come_back_whole_and_names_that_cannot_be_have_none() -> None:
    text = "v=DKIM1; k=rsa; p=" + "A" * 392
    with name_server(txt=[(f"s1._domainkey.{DOMAIN}", text)]) as port:
        resolver = DnsPythonResolver(("127.0.0.1", port))
        assert [one.content for one in resolver.look_up(f"s1._domainkey.{DOMAIN}", "TXT")] == [text]
        assert resolver.look_up("x" * 64 + ".test", "MX") == []
        assert resolver.look_up(".".join(["x" * 60] * 5), "MX") == []
        assert resolver.look_up(f"a..{DOMAIN}", "MX") == []


def test_the_api_shows_them_to_the_owner_while_the_domain_is_being_prepared(tmp_path: Path) -> None:
    with place_in(tmp_path, **POLICIES) as place:
        place.ports.bell.work_inline(lambda: None)
        place.client.post("/api/email/register/", json={"domain": DOMAIN}, auth=OPERATOR)
        path = f"/api/email/register/{DOMAIN}/dns"
        found = place.client.get(path, auth=OPERATOR).json()["records"]
        assert [one["state"] for one in found] == ["missing"] * 4
        place.work()
        found = place.client.get(path, auth=OPERATOR).json()["records"]
        assert [one["state"] for one in found] == ["right"] * 4
        assert found[0] == {
            "name": DOMAIN, "type": "MX", "content": "mx1.lokole.test", "priority": 10,
            "line": f"{DOMAIN}. 3600 IN MX 10 mx1.lokole.test.", "state": "right", "found": [],
        }  # fmt: skip
        dns = place.ports.dns
        assert isinstance(dns, MemoryDns)
        place.client.delete(f"/api/email/register/{DOMAIN}", auth=OPERATOR)
        place.work()
        assert dns.domains == {}


def test_the_command_prints_what_to_enter_and_whether_it_is_there(tmp_path: Path) -> None:
    def run(port: int, *arguments: str) -> tuple[int, str]:
        settings = {
            "LOKOLE_REGISTRATION_USERNAME": "operator",
            "LOKOLE_REGISTRATION_PASSWORD": "long enough",
            "LOKOLE_MAIL_OUT": "recorder:",
            "LOKOLE_DATA": str(tmp_path),
            "LOKOLE_DNS": "manual:",
            "LOKOLE_MX": "mx1.lokole.test",
            "LOKOLE_RESOLVER": f"127.0.0.1:{port}",
        }
        done = CliRunner().invoke(main, ["server", "dns", *arguments], env=settings, catch_exceptions=False)
        return done.exit_code, done.output

    with place_in(tmp_path):
        pass  # the database is there
    with name_server(mx={DOMAIN: HOSTS[:1]}) as port:
        assert run(port, DOMAIN) == (0, f"{DOMAIN}. 3600 IN MX 10 mx1.lokole.test. ; right\n")
        assert run(port, "b.lokole.test") == (1, "b.lokole.test. 3600 IN MX 10 mx1.lokole.test. ; missing\n")
        code, said = run(port, DOMAIN, "--json")
        assert (code, json.loads(said)["records"][0]["state"]) == (0, "right")
        assert run(port, "no domain")[0] == 1
