from __future__ import annotations

import bcrypt
import pytest

from lokole.mailbox.passwords import MIN_COST, check_password, easily_guessed, hash_password, needs_rehash


def test_the_right_password_is_right_and_others_are_not() -> None:
    hashed = hash_password("Pässwörd", MIN_COST)
    assert check_password("Pässwörd", hashed)
    assert not check_password("pässwörd", hashed)
    assert not check_password("", hashed)


def test_no_hash_and_a_damaged_hash_let_nobody_in() -> None:
    for hashed in (None, "", "x", "$2b$12$short", "$2b$99$" + "a" * 53):
        assert check_password("anything", hashed) is False


def test_only_the_first_72_bytes_count_as_in_the_first_lokole() -> None:
    hashed = hash_password("x" * 72, MIN_COST)
    assert check_password("x" * 100, hashed)
    assert not check_password("x" * 71, hashed)


def test_odd_letters_are_no_error() -> None:
    for text in ("a\x00b", "\ud800", "🎉" * 40):
        assert check_password(text, hash_password(text, MIN_COST))
    assert not check_password("a", hash_password("a\x00b", MIN_COST))


def test_a_weak_or_foreign_hash_is_made_anew() -> None:
    weak = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    assert needs_rehash(weak, MIN_COST)
    assert not needs_rehash(hash_password("x", 4), MIN_COST)  # never below the least cost
    assert needs_rehash(hash_password("x", MIN_COST), MIN_COST + 1)
    assert needs_rehash("$2a$12$" + "a" * 53, MIN_COST)
    assert needs_rehash("", MIN_COST)


@pytest.mark.parametrize(
    "text", ["password", "Password1!", "12345678", "87654321", "aaaaaaaa", "azertyuiop", "mireille2026", "MOT DE PASSE"]
)
def test_what_everybody_tries_first_is_easily_guessed(text: str) -> None:
    assert easily_guessed(text, "mireille")


@pytest.mark.parametrize(
    "text", ["mango river drum", "poisson rouge", "19472605", "mireille-goes-to-town", "passwords are hard"]
)
def test_words_of_ones_own_are_not(text: str) -> None:
    assert not easily_guessed(text, "mireille")
