"""P12: two people never meet in one flat address, and each flat address leads back to the one it was made of."""

from __future__ import annotations

import random
import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lokole.mail.errors import Refused
from lokole.mail.flat import flatten, unflatten
from lokole.mail.model import Address

ROOT = "lokole.test"
_ATOM = st.text(alphabet="ab-.+_", min_size=1, max_size=12)


def address(user: str, box: str) -> Address | None:
    try:
        return Address.parse(f"{user}@{box}.{ROOT}")
    except Refused:
        return None


@given(_ATOM, _ATOM, _ATOM, _ATOM)
@example("a-b", "c", "a", "b-c")
@example("a-", "b", "a", "b")
@example("a--", "b--c", "a", "b")
@settings(max_examples=500)
def test_back_and_forth_is_the_same_and_no_two_meet(user: str, box: str, other: str, elsewhere: str) -> None:
    one, two = address(user, box), address(other, elsewhere)
    for found in (one, two):
        if found is None:
            continue
        flat = flatten(found, ROOT)
        assert flat is not None and flat.domain == ROOT
        assert Address.parse(str(flat)) == flat
        assert unflatten(flat, ROOT) == found
    if one is not None and two is not None and one.key != two.key:
        first, second = flatten(one, ROOT), flatten(two, ROOT)
        assert first is not None and second is not None and first.key != second.key


@given(st.text(alphabet="ab-.", min_size=1, max_size=20))
@settings(max_examples=500)
def test_what_nobody_made_leads_to_nobody_or_to_who_it_is_made_of(local: str) -> None:
    try:
        found = Address.parse(f"{local}@{ROOT}")
    except Refused:
        return
    home = unflatten(found, ROOT)
    if home is not None:
        again = flatten(home, ROOT)
        assert again is not None and again.key == found.key


def test_a_million_random_pairs_have_a_million_addresses() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    letters = string.ascii_lowercase[:3] + "--"

    def name() -> str:
        return "".join(chance.choices(letters, k=chance.randrange(1, 7))).strip("-") or "a"

    people, flats = set(), set()
    for _ in range(1_000_000):
        user, box = name() + chance.choice(("", "-")), name()
        if (user, box) in people:
            continue
        people.add((user, box))
        flat = flatten(Address(user, f"{box}.{ROOT}"), ROOT)
        assert flat is not None
        flats.add(flat.local)
    assert len(flats) == len(people), f"seed {seed}"


def test_what_is_not_below_the_domain_or_too_long_has_no_flat_form() -> None:
    assert flatten(Address("a", "example.org"), ROOT) is None
    assert flatten(Address("a", ROOT), ROOT) is None
    assert flatten(Address("a", f"x{ROOT}"), ROOT) is None
    assert flatten(Address("a" * 60, f"village.{ROOT}"), ROOT) is None
    assert unflatten(Address("a-b", "example.org"), ROOT) is None
    for local in ("a", "a--b", "-b", "a-", "a-b-c", "a-b--", "a-b..c"):
        assert unflatten(Address(local, ROOT), ROOT) is None, local
