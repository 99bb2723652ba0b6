"""Letters being written: versions, windows, owners."""

from __future__ import annotations

from typing import Any

import pytest

from lokole.mail.errors import Refused
from lokole.mailbox import drafts, seen
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.drafts import Typed
from tests.mailbox_world import World

FILE = StoredAttachment("plan\x00.pdf", "application/pdf", None, "ab" * 32, 7)


def save(world: World, form: str, version: int, body: str, **more: Any) -> int:
    with world.database.write() as tx:
        typed = Typed(body=body, files=more.pop("files", ()))
        return drafts.save_draft(tx, world.ann, form, version, typed, world.now, **more)


def bodies(world: World) -> list[str]:
    with world.database.read() as tx:
        return [one.typed.body for one in drafts.list_drafts(tx, world.ann)]


def test_each_change_is_a_version_and_an_older_window_changes_nothing(world: World) -> None:
    assert save(world, "a" * 32, 0, "one", page="x") == 1
    assert save(world, "a" * 32, 1, "two", page="y") == 2
    with pytest.raises(Refused, match="another window"):
        save(world, "a" * 32, 1, "late", page="x")
    assert save(world, "a" * 32, 1, "three", page="y") == 3
    assert bodies(world) == ["three"]


def test_windows_without_a_name_are_different_ones(world: World) -> None:
    save(world, "a" * 32, 0, "one")
    with pytest.raises(Refused):
        save(world, "a" * 32, 0, "two")


def test_a_draft_that_was_thrown_away_meanwhile_is_there_again(world: World) -> None:
    save(world, "a" * 32, 0, "one")
    with world.database.write() as tx:
        assert drafts.delete_draft(tx, world.ann, drafts.find_draft(tx, world.ann, "a" * 32))
    assert save(world, "a" * 32, 1, "two") == 2
    assert bodies(world) == ["two"]


def test_what_was_sent_is_kept_no_more(world: World) -> None:
    with world.database.write() as tx:
        seen.remember(tx, world.tenant, "form", drafts.form_key(world.ann, "a" * 32), world.now)
    with pytest.raises(Refused) as refused:
        save(world, "a" * 32, 0, "one")
    assert refused.value.code == "sent"


def test_files_come_back_in_order_and_go_with_their_draft(world: World) -> None:
    other = StoredAttachment("b.jpg", "image/jpeg", "cid-1", "cd" * 32, 9)
    save(world, "a" * 32, 0, "one\x00", files=(FILE, other))
    save(world, "a" * 32, 1, "one\x00", files=(other, FILE))
    with world.database.write() as tx:
        (row,) = drafts.list_drafts(tx, world.ann)
        found = drafts.get_draft(tx, world.ann, row.no)
        assert row.file_count == 2
        assert found is not None
        assert [one.filename for one in found.typed.files] == ["b.jpg", "plan�.pdf"]
        assert found.typed.body == "one�"
        assert drafts.get_draft(tx, world.bob, row.no) is None
        assert not drafts.delete_draft(tx, world.bob, row.no)
        assert drafts.delete_draft(tx, world.ann, row.no)
        assert not drafts.delete_draft(tx, world.ann, row.no)
        assert drafts.get_draft(tx, world.ann, row.no) is None
