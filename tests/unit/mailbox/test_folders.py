"""A person's own folders: their names, what goes into them, and that nothing is lost with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.mailbox import accounts, folders, lists, outbound
from lokole.mailbox.database import Connection
from lokole.sync.records import RequestRecord
from tests.mailbox_world import World, count_outbound


def test_folders_are_listed_by_name_and_are_each_persons_own(world: World) -> None:
    with world.database.write() as tx:
        for name in ("Water", "école", "  Choir \t practice "):
            folders.create_folder(tx, world.ann, name, world.entropy, "device-1")
        assert [one.name for one in folders.list_folders(tx, world.ann)] == ["Choir practice", "école", "Water"]
        assert folders.list_folders(tx, world.bob) == []
        mine = folders.list_folders(tx, world.ann)[0]
        for act in (
            lambda: folders.find_folder(tx, world.bob, mine.id),
            lambda: folders.rename_folder(tx, world.bob, mine.id, "x", "device-1"),
            lambda: folders.delete_folder(tx, world.bob, mine.id, "device-1"),
        ):
            with pytest.raises(NotFound):
                act()
        assert not folders.is_folder(tx, world.bob, mine.id)
        assert folders.is_folder(tx, world.ann, mine.id)


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "empty"), (" \t\u200b", "empty"), ("\x07\n", "empty"), ("x" * 61, "long"), ("ECOLE", "taken")],
)
def test_a_name_that_will_not_do_is_refused(world: World, name: str, code: str) -> None:
    with world.database.write() as tx:
        folders.create_folder(tx, world.ann, "École", world.entropy, "device-1")
        with pytest.raises(Refused) as refused:
            folders.create_folder(tx, world.ann, name, world.entropy, "device-1")
        assert (refused.value.code, refused.value.field) == (code, "name")


def test_a_hundred_folders_are_enough(world: World) -> None:
    with world.database.write() as tx:
        for n in range(folders.MAX_FOLDERS):
            folders.create_folder(tx, world.ann, f"folder {n}", world.entropy, "device-1")
        with pytest.raises(Refused, match="enough"):
            folders.create_folder(tx, world.ann, "one more", world.entropy, "device-1")


def test_renaming_moves_no_letter(world: World) -> None:
    with world.database.write() as tx:
        made = folders.create_folder(tx, world.ann, "Water", world.entropy, "device-1")
        no = world.incoming(tx, [world.ann])
        lists.set_flag(tx, world.ann, no, "folder", made.id, "device-1")
        folders.rename_folder(tx, world.ann, made.id, "WATER", "device-1")
        assert folders.find_folder(tx, world.ann, made.id).name == "WATER"
        assert [row.no for row in lists.list_folder(tx, world.ann, made.id).rows] == [no]


def test_the_letters_of_a_folder_that_goes_are_in_the_archive(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_password(tx, world.ann, "hash")
        accounts.set_roaming(tx, world.ann, True)
        ann = accounts.get_account(tx, world.tenant, world.ann.no)
        made = folders.create_folder(tx, ann, "Water", world.entropy, "device-1")
        kept, gone = world.incoming(tx, [ann]), world.incoming(tx, [ann])
        for no in (kept, gone):
            lists.set_flag(tx, ann, no, "folder", made.id, "device-1")
        lists.set_flag(tx, ann, gone, "deleted", True, "device-1")
        assert folders.delete_folder(tx, ann, made.id, "device-1") == 2
        assert folders.list_folders(tx, ann) == []
        assert [row.no for row in lists.list_folder(tx, ann, "archive").rows] == [kept]
        lists.set_flag(tx, ann, gone, "deleted", False, "device-1")
        assert lists.counts(tx, ann).totals["archive"] == 2
        assert lists.counts(tx, ann).totals[made.id] == 0
        # what was moved is told to the other end
        assert count_outbound(tx, world.tenant, "up", "flag") == 3


def _told(tx: Connection, world: World) -> list[RequestRecord]:
    waiting = outbound.waiting_records(tx, world.tenant, "up")
    return [one.record for one in waiting if isinstance(one.record, RequestRecord)]


def test_what_a_roaming_person_does_to_a_folder_is_known_at_the_other_end(world: World) -> None:
    with world.database.write() as tx:
        folders.create_folder(tx, world.bob, "Nobody's business", world.entropy, "device-1")
        assert _told(tx, world) == []
        accounts.set_password(tx, world.ann, "hash")
        accounts.set_roaming(tx, world.ann, True)
        ann = accounts.get_account(tx, world.tenant, world.ann.no)
        made = folders.create_folder(tx, ann, "Water", world.entropy, "device-1")
        (first,) = _told(tx, world)
        folders.rename_folder(tx, ann, made.id, "Wells", "device-1")
        (second,) = _told(tx, world)
        folders.delete_folder(tx, ann, made.id, "device-1")
        (third,) = _told(tx, world)
    with world.database.write() as tx:  # eve stands for ann at the other end
        names = []
        for told in (second, first, third, second):
            folders.take_folder(tx, world.tenant, replace(told, body={**told.body, "account": "eve"}))
            names.append([one.name for one in folders.list_folders(tx, world.eve)])
        assert names == [["Wells"], ["Wells"], [], []]


@pytest.mark.parametrize(
    "changed",
    [
        {"account": None},
        {"id": 7},
        {"id": "inbox"},
        {"id": "own-" + "x" * 40},
        {"name": "x" * 61},
        {"lamport": "1"},
        {"lamport": True},
        {"lamport": -1},
        {"origin": "x" * 65},
    ],
)
def test_a_folder_that_is_told_wrong_is_refused(world: World, changed: dict[str, object]) -> None:
    body: dict[str, object] = {"account": "ann", "id": "own-1", "name": "Water", "lamport": 1, "origin": "server"}
    with world.database.write() as tx:
        with pytest.raises(BadPackage):
            folders.take_folder(tx, world.tenant, RequestRecord("folder", "ann/own-1", body | changed))
        assert not folders.take_folder(tx, world.tenant, RequestRecord("folder", "x", body | {"account": "stranger"}))
        assert folders.take_folder(tx, world.tenant, RequestRecord("folder", "ann/own-1", body))


def test_the_other_end_tells_no_more_folders_than_anybody_makes(world: World) -> None:
    with world.database.write() as tx:
        for n in range(folders.MOST_TOLD):
            body = {"account": "ann", "id": f"own-{n:016x}", "name": "", "lamport": n, "origin": "box"}
            assert folders.take_folder(tx, world.tenant, RequestRecord(folders.REQUEST, str(n), body))
        one_more = {"account": "ann", "id": "own-more", "name": "more", "lamport": 9, "origin": "box"}
        with pytest.raises(BadPackage):
            folders.take_folder(tx, world.tenant, RequestRecord(folders.REQUEST, "more", one_more))
        known = {"account": "ann", "id": f"own-{0:016x}", "name": "Hospital", "lamport": 10**6, "origin": "box"}
        assert folders.take_folder(tx, world.tenant, RequestRecord(folders.REQUEST, "0", known))
        assert [one.name for one in folders.list_folders(tx, world.ann)] == ["Hospital"]
