from __future__ import annotations

import pytest

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import EmailId, TenantNo
from lokole.mailbox import accounts, jobs, letters, lists, packages, quarantine, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import metadata
from tests.mailbox_world import World

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def _add(world: World, tx: Connection, name: str = "new", **values: object) -> TenantNo:
    options: dict[str, object] = {"state": "waiting", "claim_code": f"code-{name}", "owner": "operator"}
    return tenants.add_tenant(
        tx,
        domain=f"{name}.lokole.ca",
        device_id=f"device-{name}",
        webhook_secret=f"hook-{name}",
        now=world.now,
        **(options | values),  # type: ignore[arg-type]
    )


def test_a_device_is_found_by_each_of_its_names(world: World) -> None:
    with world.database.write() as tx:
        no = _add(world, tx, "Village-2")
        row = tenants.find_tenant(tx, domain="VILLAGE-2.lokole.ca.")
        assert row is not None and (row.no, row.domain, row.owner) == (no, "village-2.lokole.ca", "operator")
        assert tenants.find_tenant(tx, device_id="device-Village-2") == row
        assert tenants.find_tenant(tx, webhook_secret="hook-Village-2") == row
        assert tenants.find_tenant(tx, no=no) == row == tenants.get_tenant(tx, no)
        for domain in ("nobody.lokole.ca", "evilvillage-2.lokole.ca", "", "a b", "lokole.ca"):
            assert tenants.find_tenant(tx, domain=domain) is None
        assert [one.domain for one in tenants.list_tenants(tx)] == ["village-2.lokole.ca", "village.lokole.ca"]
        assert tenants.list_tenants(tx, tenants.numbers(owner="nobody")) == []


def test_a_name_is_given_once(world: World) -> None:
    with world.database.write() as tx:
        _add(world, tx)
        for values in ({"domain": "NEW.lokole.ca"}, {"device_id": "device-new"}, {"webhook_secret": "hook-new"}):
            given = {"domain": "z.lokole.ca", "device_id": "z", "webhook_secret": "z"} | values
            with pytest.raises(Refused) as refusal:
                tenants.add_tenant(tx, state="waiting", now=world.now, **given)  # type: ignore[arg-type]
            assert refusal.value.code == "exists"
        with pytest.raises(Refused) as refusal:
            tenants.add_tenant(
                tx, domain="not a domain", device_id="y", state="waiting", webhook_secret="y", now=world.now
            )
        assert refusal.value.code == "address"


def test_a_code_gives_a_row_to_one_key_only(world: World) -> None:
    with world.database.write() as tx:
        no = _add(world, tx, v1=True)
        row = tenants.claim_tenant(tx, "code-new", KEY, world.now)
        assert (row.no, row.state, row.v1) == (no, "claimed", False)
        assert tenants.claim_tenant(tx, "code-new", KEY, world.now) == row  # the answer was lost
        with pytest.raises(NotFound):
            tenants.claim_tenant(tx, "code-new", OTHER_KEY, world.now)
        credential = tenants.find_credential(tx, "device-new")
        assert credential is not None and credential.public_key == KEY
        tenants.use_counter(tx, credential.no, 1)
        with pytest.raises(NotFound):
            tenants.claim_tenant(tx, "code-new", KEY, world.now)  # the box has spoken: the code is gone
        for code in ("", "wrong"):
            with pytest.raises(NotFound):
                tenants.claim_tenant(tx, code, OTHER_KEY, world.now)


def test_one_key_belongs_to_one_device(world: World) -> None:
    with world.database.write() as tx:
        _add(world, tx, "a")
        _add(world, tx, "b")
        tenants.claim_tenant(tx, "code-a", KEY, world.now)
        with pytest.raises(Refused) as refusal:
            tenants.claim_tenant(tx, "code-b", KEY, world.now)
        assert refusal.value.code == "key"


def test_a_counter_is_used_once_and_the_last_one_is_told(world: World) -> None:
    with world.database.write() as tx:
        number = tenants.add_credential(tx, world.tenant, KEY, world.now)
        tenants.use_counter(tx, number, 5)
        for counter in (5, 4, 0, -1):
            with pytest.raises(tenants.WrongCounter) as wrong:
                tenants.use_counter(tx, number, counter)
            assert wrong.value.counter == 5
        tenants.mark_twin(tx, number, world.now)
        tenants.use_counter(tx, number, 6)
        found = tenants.find_credential(tx, "device-1")
        assert found is not None and (found.counter, found.twin_seen_at) == (6, world.now)
        with pytest.raises(NotFound):
            tenants.use_counter(tx, number + 1, 1)


def test_a_revoked_key_is_known_as_revoked_until_there_is_a_new_one(world: World) -> None:
    with world.database.write() as tx:
        assert tenants.find_credential(tx, "device-1") is None
        tenants.add_credential(tx, world.tenant, KEY, world.now)
        tenants.revoke(tx, world.tenant, world.now)
        found = tenants.find_credential(tx, "device-1")
        assert found is not None and found.revoked
        tenants.add_credential(tx, world.tenant, OTHER_KEY, world.now)
        found = tenants.find_credential(tx, "device-1")
        assert found is not None and (found.public_key, found.revoked) == (OTHER_KEY, False)


def test_a_visit_is_remembered(world: World) -> None:
    with world.database.write() as tx:
        tenants.count_visit(tx, world.tenant)
        tenants.count_visit(tx, world.tenant)
        row = tenants.get_tenant(tx, world.tenant)
        assert (row.last_visit_at, row.visits, row.heard_visits) == (None, 2, 0)
        later = world.later(days=1)
        tenants.hear_visits(tx, world.tenant, later)
        row = tenants.get_tenant(tx, world.tenant)
        assert (row.last_visit_at, row.visits, row.heard_visits) == (later, 2, 2)
        tenants.set_state(tx, world.tenant, "removed")
        assert tenants.find_credential(tx, "device-1") is None
        with pytest.raises(NotFound):
            tenants.set_state(tx, 99, "claimed")


def test_removing_a_device_takes_all_of_it_and_nothing_else(world: World) -> None:
    with world.database.write() as tx:
        other = _add(world, tx)
        ann = accounts.create_account(tx, other, "ann", password_hash=None, now=world.now)
        kept = world.written(tx, world.ann, to=("a@example.org",))
        letter = letters.read_email(tx, world.tenant, kept).email
        gone = letters.write_letter(tx, other, ann, letter, id=EmailId(b"x" * 16), now=world.now)
        package = packages.add_package(
            tx, other, epoch=1, direction="up", seq=1, sha256="0" * 64, size=1, type="t", blob="b", letters=1, state="built", now=world.now
        )  # fmt: skip
        packages.mark_packed(tx, package, [gone])
        jobs.enqueue(tx, "send", "1", {}, tenant=other, now=world.now)
        quarantine.quarantine(
            tx, tenant=other, kind="mime", source="s", reason="r", raw_ref=None, key="1", now=world.now
        )
        tenants.remove_tenant(tx, other)
        for table in metadata.tables.values():
            if "tenant" in table.columns:
                assert tx.execute(table.select().where(table.c.tenant == other)).all() == []
        assert tenants.find_tenant(tx, no=other) is None
        assert [row.no for row in lists.list_folder(tx, world.ann, "sent").rows] == [kept]
