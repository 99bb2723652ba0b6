from __future__ import annotations

import random
from pathlib import Path

import pytest

from lokole.mail.errors import Refused
from lokole.sync.digest import Summary, ack_check, diff, package_digest, read_header, summarise, write_header
from lokole.sync.records import PackageDigest, Window

IDS = [random.Random(n).randbytes(16) for n in range(20)]
EPOCH = 2**62 + 5
WINDOWS = [Window("up", EPOCH, 1, 3), Window("down", 9, 5, 6)]
HELD = [
    package_digest("up", EPOCH, 1, IDS[:3]),
    package_digest("up", EPOCH, 2, IDS[3:4]),
    package_digest("up", EPOCH, 3, []),
    package_digest("down", 9, 5, IDS[4:10]),
    package_digest("down", 9, 6, IDS[10:]),
]


def test_two_ends_that_hold_the_same_agree_whatever_the_order() -> None:
    summary = summarise(HELD, WINDOWS)
    assert summary.count == 20
    assert len(summary.hash) == 16
    assert summary.agrees(summarise(reversed(HELD), list(reversed(WINDOWS))))
    assert diff(HELD, list(reversed(HELD)), WINDOWS) == []


def test_a_summary_stays_what_it_is() -> None:
    # Boxes in the field compare against it: a change here is another protocol.
    held = [
        package_digest("up", 1, 1, [bytes(range(16))], sha256=bytes(range(1, 33)).hex()),
        package_digest("down", 2, 7, []),
    ]
    summary = summarise(held, [Window("up", 1, 1, 1), Window("down", 2, 1, 7)])
    fixed = "d=AAAAAAAAAAI.1-7,u=AAAAAAAAAAE.1-1,n=1,h=4F4vQySHlX4doPxjjJAJyQ"
    assert write_header(summary) == fixed
    assert f"Lokole-Digest: {fixed}\n" in (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("gone", range(20))
def test_one_letter_that_is_missing_is_found_and_named(gone: int) -> None:
    lacking = [
        package_digest(one.direction, one.epoch, one.seq, [letter for letter in IDS[first:last] if letter != IDS[gone]])
        for one, (first, last) in zip(HELD, ((0, 3), (3, 4), (0, 0), (4, 10), (10, 20)), strict=True)
    ]
    assert not summarise(HELD, WINDOWS).agrees(summarise(lacking, WINDOWS))
    (found,) = diff(lacking, HELD, WINDOWS)
    assert (found.missing_here, found.missing_there) == (1, 0)
    assert found.missing_id == IDS[gone]
    (other_way,) = diff(HELD, lacking, WINDOWS)
    assert (other_way.missing_here, other_way.missing_there, other_way.missing_id) == (0, 1, IDS[gone])


def test_a_package_that_one_end_does_not_know_is_a_difference_even_without_letters() -> None:
    lacking = [one for one in HELD if one.seq != 3]
    assert not summarise(HELD, WINDOWS).agrees(summarise(lacking, WINDOWS))
    (found,) = diff(HELD, lacking)
    assert (found.direction, found.epoch, found.seq, found.theirs, found.missing_id) == ("up", EPOCH, 3, None, None)


def test_a_letter_that_was_exchanged_for_another_is_seen_though_counts_agree() -> None:
    other = [package_digest("up", EPOCH, 2, [bytes(16)]) if one.seq == 2 else one for one in HELD]
    assert not summarise(HELD, WINDOWS).agrees(summarise(other, WINDOWS))
    (found,) = diff(HELD, other)
    assert (found.missing_here, found.missing_there, found.missing_id) == (0, 0, None)


def test_two_letters_that_changed_places_are_seen() -> None:
    one = [package_digest("up", 1, 1, IDS[:1]), package_digest("up", 1, 2, IDS[1:2])]
    two = [package_digest("up", 1, 1, IDS[1:2]), package_digest("up", 1, 2, IDS[:1])]
    windows = [Window("up", 1, 1, 2)]
    assert not summarise(one, windows).agrees(summarise(two, windows))


def test_another_package_under_the_same_number_is_seen_even_without_letters() -> None:
    one, other = (package_digest("down", 1, 1, [], sha256=sha256) for sha256 in ("aa" * 32, "bb" * 32))
    windows = [Window("down", 1, 1, 1)]
    assert not summarise([one], windows).agrees(summarise([other], windows))
    (found,) = diff([one], [other])
    assert (found.missing_here, found.missing_there) == (0, 0)


def test_an_acknowledgement_says_which_packages_it_means() -> None:
    assert ack_check([]).hex() == "e3b0c44298fc1c14"
    first, second = "aa" * 32, "bb" * 32
    assert len({ack_check(names) for names in ([], [first], [second], [first, second], [second, first])}) == 5


def test_what_lies_outside_the_windows_does_not_count() -> None:
    beyond = [
        *HELD,
        package_digest("up", EPOCH, 4, IDS),
        package_digest("up", 1, 1, IDS),
        package_digest("down", 9, 4, IDS),
    ]
    assert summarise(beyond, WINDOWS) == summarise(HELD, WINDOWS)
    assert diff(beyond, HELD, WINDOWS) == []


def test_windows_are_part_of_what_agrees() -> None:
    narrower = [Window("up", EPOCH, 1, 2), WINDOWS[1]]
    assert not summarise([], WINDOWS).agrees(summarise([], narrower))


def test_another_package_under_one_number_is_seen_though_it_carried_the_same() -> None:
    one, other, silent = (package_digest("up", 1, 1, IDS[:1], sha256=name) for name in ("ab" * 32, "cd" * 32, ""))
    windows = [Window("up", 1, 1, 1)]
    assert not summarise([one], windows).agrees(summarise([other], windows))
    (found,) = diff([one], [other])
    assert (found.is_another, found.missing_here, found.missing_there) == (True, 0, 0)
    assert diff([one], [silent]) == diff([silent], [one]) == diff([one], [one]) == []
    (found,) = diff([one], [])
    assert not found.is_another


def test_a_letter_named_twice_counts_once_and_a_package_named_twice_is_a_mistake() -> None:
    assert package_digest("up", 1, 1, [IDS[0], IDS[0]]) == package_digest("up", 1, 1, [IDS[0]])
    with pytest.raises(ValueError, match="once"):
        summarise([HELD[0], HELD[0]], WINDOWS)
    with pytest.raises(ValueError, match="16 bytes"):
        package_digest("up", 1, 1, [b"short"])


def test_the_header_comes_back_and_is_short() -> None:
    summary = summarise(HELD, WINDOWS)
    text = write_header(summary)
    assert read_header(text).agrees(summary)
    assert read_header(f" {text} ") == summary
    assert len(text) < 100
    assert text.isascii()


def test_no_windows_are_a_summary_too() -> None:
    nothing = summarise([], [])
    assert read_header(write_header(nothing)) == nothing
    assert nothing.count == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n=1",
        "n=1,h=AAAAAAAAAAAAAAAAAAAAAA,x=1",
        "n=-1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "n=1,h=AAAAAAAAAAAAAAAAAAAAA",
        "n=1,h=AAAAAAAAAAAAAAAAAAAAAB",  # bits that belong to no byte
        "d=AAAAAAAAAAI.0-7,n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "d=AAAAAAAAAAI.7-5,n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "d=__________8.1-7,n=1,h=AAAAAAAAAAAAAAAAAAAAAA",  # an epoch that no database can hold
        "d=AAAAAAAAAAI.1-9999999999999999999,n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "x=AAAAAAAAAAI.1-7,n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "d=AAAAAAAAAAI.1-7," * 9 + "n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "d=AAAAAAAAAAI.1-7," * 999 + "n=1,h=AAAAAAAAAAAAAAAAAAAAAA",
        "n=1,h=AAAAAAAAAAAAAAAAAAAAAA\nn=2,h=AAAAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_a_header_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(Refused) as error:
        read_header(text)
    assert error.value.code == "digest"


def test_a_digest_of_too_many_windows_is_not_written() -> None:
    with pytest.raises(ValueError, match="8"):
        write_header(Summary(tuple(Window("up", n, 1, 1) for n in range(9)), 0, bytes(16)))


def test_random_holes_are_all_found_and_nothing_else() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(200):
        full = {("down", 1, seq): [chance.randbytes(16) for _n in range(chance.randrange(4))] for seq in range(1, 10)}
        held = {place: [one for one in letters if chance.random() > 0.1] for place, letters in full.items()}
        ours: list[PackageDigest] = [package_digest(*place, letters) for place, letters in held.items()]
        theirs = [package_digest(*place, letters) for place, letters in full.items()]
        window = [Window("down", 1, 1, 9)]
        lost = {place for place in full if held[place] != full[place]}
        assert {(one.direction, one.epoch, one.seq) for one in diff(ours, theirs, window)} == lost
        assert summarise(ours, window).agrees(summarise(theirs, window)) == (not lost)
