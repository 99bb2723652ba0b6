"""The list of mobile networks: a small one of our own, the real one where its package is installed, and none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.adapters.mobile_networks.serviceproviders import ServiceProviders
from lokole.device.settings import DeviceSettings
from lokole.mail.access_point import AccessPoint, nmcli_line, wvdial_config
from tests.corpus import REPOSITORY

OWN = REPOSITORY / "tests" / "serviceproviders.xml"
REAL = DeviceSettings().mobile_networks


def test_countries_networks_and_access_points_are_read() -> None:
    known = ServiceProviders(OWN)
    assert known.countries() == ("cd", "cg", "tz")
    assert known.networks("cd") == ("Lobi", "Mbila/East <b>")
    assert known.networks("cg") == known.networks("xx") == ()
    assert known.access_points("cd", "Lobi") == (
        AccessPoint("lobi.net", "lobi", '"064"', country="cd", network="Lobi", name="Card", plan="prepaid"),
        AccessPoint("lobi.net", country="cd", network="Lobi", name="Contract", plan="postpaid"),
        AccessPoint("old", country="cd", network="Lobi"),
    )
    assert known.access_points("tz", "Ngoma") == (AccessPoint("ngoma", country="tz", network="Ngoma"),)
    assert known.access_points("cd", "Ngoma") == known.access_points("xx", "x") == ()


def test_without_a_list_there_is_nothing_and_a_new_one_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    known = ServiceProviders(path)
    assert (known.countries(), known.networks("cd"), known.access_points("cd", "Lobi")) == ((), (), ())
    path.write_bytes(OWN.read_bytes())
    assert known.countries() == ("cd", "cg", "tz")
    path.write_text('<serviceproviders><country code="ke"/></serviceproviders>')
    assert known.countries() == ("ke",)


@pytest.mark.parametrize("broken", ["", "<", "no xml", "<x>\0</x>", '<?xml version="1.0" encoding="moon"?><x/>'])
def test_a_broken_list_is_none(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "list.xml"
    path.write_text(broken)
    assert ServiceProviders(path).countries() == ()


def test_what_stands_before_a_mistake_in_the_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    path.write_bytes(OWN.read_bytes()[:-30])
    assert "cd" in ServiceProviders(path).countries()


def test_a_list_that_names_itself_without_end_fills_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "list.xml"
    named = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    path.write_text(f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{named}]><x><country code="&e11;"/></x>')
    assert ServiceProviders(path).countries() == ()


@pytest.mark.skipif(not REAL.exists(), reason="mobile-broadband-provider-info is not installed here")
def test_what_debians_list_says_can_be_dialled() -> None:
    known = ServiceProviders(REAL)
    assert len(known.countries()) > 100
    points = [
        point
        for country in ("cd", *known.countries()[::15])
        for network in known.networks(country)
        for point in known.access_points(country, network)
    ]
    assert len(points) > 30
    for point in points:
        assert len(wvdial_config(point).splitlines()) == 9
        assert "\n" not in nmcli_line(point)
    assert "Vodacom" in known.networks("cd")
