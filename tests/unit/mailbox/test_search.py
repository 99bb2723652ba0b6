from __future__ import annotations

import pytest

from lokole.mailbox import fulltext, lists, search
from lokole.mailbox.database import Connection
from tests.mailbox_world import DOMAIN, World


def _found(tx: Connection, world: World, query: str) -> list[int]:
    return [row.no for row in search.search(tx, world.ann, query).rows]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("École", "ecole"),
        ("ecole", "ÉCOLE"),
        ("naïve cœur", "coeur NAIVE"),
        ("Straße", "strasse"),
        ("ﬁnance", "finance"),
        ("l'hôpital", "hopital"),
        ("İstanbul", "istanbul"),
        ("Akɔɔ ɛyɛ", "akoo eye"),
        ("አማርኛ ቋንቋ", "አማርኛ"),
        ("我们的学校", "学校"),
        ("𞤀𞤣𞤤𞤢𞤥", "𞤀𞤣𞤤𞤢𞤥"),
        ("price: 3,50 CFA", "3 50 cfa"),
        ("jean-paul@example.org", "jean-paul"),
        ("schools", "scho"),
        ("rain <b>bo</b>w", "bow"),
        ("a&eacute;b", "aeb"),
    ],
)
def test_words_are_found_however_they_are_written(world: World, written: str, asked: str) -> None:
    with world.database.write() as tx:
        world.incoming(tx, [world.ann], body="<p>something else</p>")
        no = world.incoming(tx, [world.ann], body=f"<p>{written}</p>")
        assert _found(tx, world, asked) == [no]


def test_every_part_of_a_letter_is_found(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(
            tx,
            [world.ann],
            sender="grandmother@far.example",
            to=(f"ann@{DOMAIN}", "uncle@example.org"),
            cc=("cousin@example.org",),
            subject="Harvest",
        )
        for word in ("grandmother", "far.example", "uncle", "cousin", "harvest"):
            assert _found(tx, world, word) == [no]


def test_all_words_must_be_there_and_only_the_last_may_go_on(world: World) -> None:
    with world.database.write() as tx:
        both = world.incoming(tx, [world.ann], body="<p>wells and pumps</p>")
        world.incoming(tx, [world.ann], body="<p>wells</p>")
        assert _found(tx, world, "wells pum") == [both]
        assert _found(tx, world, "pum wells") == []
        assert _found(tx, world, "wells pu") == []


def test_nobody_finds_the_letters_of_others_or_what_they_deleted(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob], body="<p>shared</p>")
        world.incoming(tx, [world.bob], body="<p>shared</p>")
        assert _found(tx, world, "shared") == [no]
        assert search.search(tx, world.eve, "shared").total == 0
        lists.set_flag(tx, world.ann, no, "deleted", True, "device-1")
        assert _found(tx, world, "shared") == []
        assert search.search(tx, world.bob, "shared").total == 2
        lists.set_flag(tx, world.ann, no, "deleted", False, "device-1")
        assert _found(tx, world, "shared") == [no]


@pytest.mark.parametrize(
    "query",
    ["", " ", '"', "'", "a' OR '1'='1", 'x" AND', "NEAR(a b)", "a*", "*", "(", "words:x", "^a", "-a", "!a & b", "a:*", "\\", "@1", "\x00", "\ud800", "%", "a" * 5000, "| | |", "{}", "NOT", "rowid:1", "?" * 90, ":query", "b " * 3000],
)  # fmt: skip
def test_whatever_a_person_types_is_only_looked_for(world: World, query: str) -> None:
    with world.database.write() as tx:
        world.incoming(tx, [world.bob], body="<p>a b words rowid x</p>")
        assert search.search(tx, world.ann, query).rows == ()


def test_a_person_cannot_ask_for_the_letters_of_another_by_the_holders_word(world: World) -> None:
    with world.database.write() as tx:
        world.incoming(tx, [world.bob])
        assert _found(tx, world, fulltext.holder_word(world.bob.no)) == []


def test_pages_of_hits_show_each_once_and_the_total_is_capped(world: World) -> None:
    with world.database.write() as tx:
        numbers = [world.incoming(tx, [world.ann], body="<p>water</p>") for _ in range(108)]
        page = search.search(tx, world.ann, "water")
        assert (page.total, page.more, page.start) == (100, True, 1)
        shown = [row.no for row in page.rows]
        while page.older is not None:
            page = search.search(tx, world.ann, "water", before=page.older)
            shown += [row.no for row in page.rows]
        assert shown == numbers[::-1]
        assert page.newer is not None
        up = search.search(tx, world.ann, "water", after=page.newer)
        assert [row.no for row in up.rows] == shown[80:100] and up.start == 81


def test_an_index_made_anew_finds_the_same(world: World) -> None:
    with world.database.write() as tx:
        one = world.incoming(tx, world.people, subject="Ñandú", body="<p>first water</p>")
        two = world.incoming(tx, [world.ann], body="<p>second water</p>")
        lists.set_flag(tx, world.bob, one, "deleted", True, "device-1")
        assert fulltext.rebuild(tx) == 2
        assert _found(tx, world, "water") == [two, one]
        assert _found(tx, world, "nandu") == [one]
        assert search.search(tx, world.bob, "water").total == 0
        assert search.search(tx, world.eve, "water").total == 1


def test_a_very_long_letter_is_found_by_its_first_words(world: World) -> None:
    body = "<p>beginning " + " ".join(f"w{n}" for n in range(150_000)) + " " + "x" * 500_000 + "</p>"
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann], body=body)
        assert _found(tx, world, "beginning") == [no]
