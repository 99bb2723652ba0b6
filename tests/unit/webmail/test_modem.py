"""The modem of a box: an access point from the list or typed, as a person sees it and as a program does."""

from __future__ import annotations

import html
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lokole.adapters.mobile_networks.serviceproviders import ServiceProviders
from lokole.mail.access_point import AccessPoint
from lokole.mailbox import audit, options
from lokole.mailbox.access_point import get_access_point
from lokole.webmail import countries
from tests.unit.webmail.browser import Browser
from tests.unit.webmail.conftest import Box


def chief(box: Box, language: str = "en") -> Browser:
    return box.signed_in("chief", language, is_admin=True)


def chosen(box: Box) -> AccessPoint | None:
    with box.ports.database.read() as tx:
        return get_access_point(tx, box.tenant)


def area(browser: Browser, name: str) -> str:
    return html.unescape(browser.html.partition(f"<textarea class=few id={name}")[2].partition(">\n")[2]).partition(
        "</textarea>"
    )[0]


def asked(browser: Browser, address: str) -> Any:
    return json.loads(browser.open(address).html)


def test_an_access_point_is_chosen_in_three_steps(box: Box) -> None:
    browser = chief(box).open("/admin")
    browser.follow("Modem").follow("Choose from a list").follow("Congo - Kinshasa").follow("Lobi")
    assert "Name: lobi" in browser.text
    browser.press("Card")
    assert "Access point: lobi.net Lobi, Congo - Kinshasa" in browser.text
    assert chosen(box) == AccessPoint("lobi.net", "lobi", '"064"', "cd", "Lobi", "Card", "prepaid")
    assert 'Init2 = AT+CGDCONT=1,"IP","lobi.net"\nPhone = *99#\nUsername = lobi\nPassword = \\"064\\"\n' in area(
        browser, "wvdial"
    )
    assert shlex.split(area(browser, "nmcli"))[-1] == '"064"'
    with box.ports.database.read() as tx:
        assert [(act.act, act.detail) for act in audit.last_acts(tx, box.tenant, limit=1)] == [("modem", "lobi.net")]


def test_name_and_password_are_changed_by_hand_and_whose_it_is_stays(box: Box) -> None:
    browser = chief(box).open("/admin/modem/countries/cd/Lobi").press("Contract")
    browser.press("Keep this", username="joseph", password="p;{x}")
    assert chosen(box) == AccessPoint("lobi.net", "joseph", "p;{x}", "cd", "Lobi", "Contract", "postpaid")
    browser.press("Keep this", apn="other.net")
    assert chosen(box) == AccessPoint("other.net", "joseph", "p;{x}")
    browser.press("Keep this", apn="", username="", password="")
    assert chosen(box) is None
    assert "wvdial" not in browser.text


@pytest.mark.parametrize(
    ("field", "value"),
    [("apn", 'x","y'), ("apn", "<b>"), ("username", "é"), ("password", "x" * 65), ("username", "\x07")],
)
def test_what_no_modem_can_be_told_is_said_beside_its_field(box: Box, field: str, value: str) -> None:
    browser = chief(box).open("/admin/modem").press("Keep this", None, **{"apn": "lobi.net", field: value})
    assert browser.status == 400
    assert f"id={field}-e" in browser.html
    assert dict(browser.fields("/admin/modem").fields)[field] == value
    assert chosen(box) is None


def test_a_name_of_the_list_is_shown_and_never_run(box: Box) -> None:
    browser = chief(box).open("/admin/modem/countries/cd").follow("Mbila/East <b>")
    assert browser.status == 200
    assert "<b>'c" not in browser.html
    browser.press("Take this one")
    found = chosen(box)
    assert found is not None
    assert (found.network, found.username) == ("Mbila/East <b>", "a<b>'c")
    assert "East <b>" not in browser.html
    assert shlex.split(area(browser, "nmcli"))[-1] == "a<b>'c"


def test_a_list_that_changed_since_the_page_was_made_chooses_nothing(box: Box) -> None:
    browser = chief(box).open("/admin/modem/countries/cd/Lobi")
    token = browser.token()
    for n, apn in (("0", "old"), ("3", "lobi.net"), ("-1", "old"), ("x", "lobi.net")):
        address = "/admin/modem/countries/cd/Lobi"
        assert browser.post(address, {"csrf_token": token, "n": n, "apn": apn}).status == 404
    assert chosen(box) is None


def test_countries_are_found_in_the_readers_language_without_accents(box: Box) -> None:
    browser = chief(box, "fr").open("/admin/modem/countries?query=KINSHASA")
    assert [words for words, address in browser.links if "/countries/cd" in address] == ["Congo-Kinshasa"]
    assert "/countries/tz" not in browser.html
    assert "/countries/tz" in browser.open("/admin/modem/countries?query=tz").html
    assert "<ul class=ticks>" not in browser.open("/admin/modem/countries?query=xyz").html


@pytest.mark.parametrize("language", ["en", "fr", "ln", "sw"])
def test_every_country_has_a_name_in_every_language(box: Box, language: str) -> None:
    with box.app.test_request_context(headers={"Accept-Language": language}):
        for code in ("cd", "cg", "ke", "tz", "ug", "rw", "bi", "zm", "ao", "gb", "us"):
            assert len(countries.name_of(code)) > 3


def test_the_country_where_the_box_is_stands_first(make_box: Callable[..., Box]) -> None:
    browser = chief(make_box(time_zone="Africa/Dar_es_Salaam")).open("/admin/modem/countries")
    addresses = [address for _words, address in browser.links if "/countries/" in address]
    assert addresses[0].endswith("/tz")
    assert len(addresses) == 3


def test_a_long_list_of_countries_has_pages(make_box: Callable[..., Box]) -> None:
    browser = chief(make_box(rows_per_page=2)).open("/admin/modem/countries")
    assert "1–2 of 3" in browser.text
    assert "3–3 of 3" in browser.follow("Next").text
    assert "Before" in browser.text


def test_a_country_without_a_network_says_what_to_do(box: Box) -> None:
    browser = chief(box).open("/admin/modem/countries/cg")
    assert "Ask your network for its access point, and type it." in browser.text
    for address in ("/admin/modem/countries/xx", "/admin/modem/countries/cd/Moon", "/admin/modem/countries/tz/Lobi"):
        assert browser.open(address).status == 404


def test_without_the_list_the_page_says_what_to_install_and_takes_what_is_typed(make_box: Callable[..., Box]) -> None:
    box = make_box(mobile_networks=ServiceProviders(Path("/nowhere")))
    browser = chief(box).open("/admin/modem")
    assert "mobile-broadband-provider-info" in browser.text
    assert "Choose from a list" not in browser.text
    browser.press("Keep this", apn="vodanet", username="vodalive")
    assert chosen(box) == AccessPoint("vodanet", "vodalive")
    assert browser.open("/api/mkwvconf/").status == 404
    assert "mobile-broadband-provider-info" in json.loads(browser.html)["error"]


def test_pages_without_a_box_have_no_modem(make_box: Callable[..., Box]) -> None:
    browser = chief(make_box(mobile_networks=None))
    assert "Modem" not in browser.open("/admin").text
    for address in ("/admin/modem", "/admin/modem/countries", "/admin/modem/countries/cd", "/api/mkwvconf/"):
        assert browser.open(address).status == 404


@pytest.mark.parametrize("kept", [7, [], {"apn": "a b"}, {"apn": "x", "username": "é"}, {}])
def test_what_is_kept_and_cannot_be_an_access_point_is_none(box: Box, kept: object) -> None:
    with box.ports.database.write() as tx:
        options.set_option(tx, box.tenant, "access_point", kept)
    assert chosen(box) is None
    assert chief(box).open("/admin/modem").status == 200


# --- for programs --------------------------------------------------------------------------------


def test_programs_are_told_countries_networks_access_points_and_a_configuration(box: Box) -> None:
    browser = chief(box)
    assert asked(browser, "/api/mkwvconf/") == {"countries": ["cd", "cg", "tz"]}
    assert asked(browser, "/api/mkwvconf/cd") == {"providers": ["Lobi", "Mbila/East <b>"]}
    assert asked(browser, "/api/mkwvconf/cg") == {"providers": []}
    assert asked(browser, "/api/mkwvconf/cd/Lobi") == {"apns": ["lobi.net", "old"]}
    config = asked(browser, "/api/mkwvconf/cd/Lobi/lobi.net")["config"]
    assert "Username = lobi\n" in config
    assert browser.response.content_type == "application/json"


def test_a_network_with_a_slash_in_its_name_is_found(box: Box) -> None:
    browser = chief(box)
    for name in ("Mbila/East <b>", "Mbila%2FEast%20%3Cb%3E"):
        assert asked(browser, f"/api/mkwvconf/cd/{name}") == {"apns": ["mbila"]}
        assert "Username = a<b>'c\n" in asked(browser, f"/api/mkwvconf/cd/{name}/mbila")["config"]


def test_programs_name_the_modem_and_the_profile(box: Box) -> None:
    browser, address = chief(box), "/api/mkwvconf/cd/Lobi/old"
    config = asked(browser, f"{address}?modemDevice=/dev/ttyUSB2&profileName=night")["config"]
    assert config.startswith("[Dialer night]\nModem = /dev/ttyUSB2\n")
    for query in ("modemDevice=/dev/x%0AInit3=ATZ", "modemDevice=sda", "profileName=a]b"):
        assert browser.open(f"{address}?{query}").status == 400
        assert "error" in json.loads(browser.html)


@pytest.mark.parametrize(
    "address", ["xx", "CD", "xx/Lobi", "cd/Moon", "cd/Lobi/moon", "cd/Lobi/lobi.pictures", "tz/Lobi/old"]
)
def test_what_is_not_in_the_list_is_not_there(box: Box, address: str) -> None:
    browser = chief(box).open(f"/api/mkwvconf/{address}")
    assert browser.status == 404
    assert "error" in json.loads(browser.html)
