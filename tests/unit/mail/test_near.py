"""Near misses are offered, and nobody's right address is taken for one."""

from __future__ import annotations

import pytest

from lokole.mail.near import KNOWN_DOMAINS, distance, near_domain, near_names


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmail", "gmail.com"),
        ("GMAI.COM", "gmail.com"),
        ("yaho.fr", "yahoo.fr"),
        ("yahoo.cm", "yahoo.com"),
        ("hotmial.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("bolenge.lokole.co", "bolenge.lokole.ca"),
    ],
)
def test_a_near_miss_of_a_well_known_domain_is_known(typed: str, meant: str) -> None:
    assert near_domain(typed, "bolenge.lokole.ca") == meant


@pytest.mark.parametrize(
    "domain", [*KNOWN_DOMAINS, "example.com", "unicef.org", "village.org", "bolenge.lokole.ca", ""]
)
def test_a_domain_of_its_own_is_no_mistake(domain: str) -> None:
    assert near_domain(domain, "bolenge.lokole.ca") == ""


def test_near_names_come_nearest_first() -> None:
    names = ["jeanne", "joseph", "jean-pierre", "jean", "mireille", "mbuyi.ruth"]
    assert near_names("jeane", names) == ["jean", "jeanne"]
    assert near_names("Jospeh", names) == ["joseph"]
    assert near_names("mire", names) == ["mireille"]
    assert near_names("ruth", names) == ["mbuyi.ruth"]
    assert near_names("zawadi", names) == []
    assert near_names("joseph", names) == []


def test_swapped_missing_and_wrong_letters_count_one_each() -> None:
    assert [distance(a, b, 9) for a, b in (("ab", "ba"), ("abc", "ac"), ("abc", "axc"), ("abc", "abc"))] == [1, 1, 1, 0]
    assert distance("completely", "different!", 3) == 3
