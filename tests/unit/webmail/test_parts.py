"""Tenants and the storage of limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lokole.mail.errors import Temporary
from lokole.mailbox.tenants import add_tenant
from lokole.webmail.app import ManyTenants, OneTenant
from lokole.webmail.limits_storage import CountIn, DatabaseStorage
from tests.unit.webmail.conftest import DOMAIN, PASSWORD, Box


def test_on_a_box_a_name_or_an_address_of_it_signs_in(box: Box) -> None:
    one = OneTenant(box.tenant, DOMAIN)
    with box.ports.database.read() as tx:
        assert one.tenant_for_login(tx, " Mireille ") == (box.tenant, "mireille")
        assert one.tenant_for_login(tx, f"Mireille@{DOMAIN}.") == (box.tenant, "mireille")
        assert one.tenant_for_login(tx, "mireille@elsewhere.example") is None
        assert one.tenant_for_login(tx, "") is None


def test_on_the_server_only_a_whole_address_signs_in(make_box: Callable[..., Box]) -> None:
    box = make_box(tenants=ManyTenants(), cookie_name="lokole_town", prefix="/web")
    with box.ports.database.write() as tx:
        other = add_tenant(
            tx,
            domain="other.lokole.ca",
            device_id="d2",
            owner="o",
            state="claimed",
            webhook_secret="w2",
            now=box.clock[0],
        )
        many = ManyTenants()
        assert many.tenant_for_login(tx, f"Mireille@{DOMAIN.upper()}") == (box.tenant, "mireille")
        assert many.tenant_for_login(tx, "mireille@other.lokole.ca") == (other, "mireille")
        assert many.tenant_for_login(tx, "mireille@nowhere.example") is None
        assert many.tenant_for_login(tx, "mireille") is None
    box.person("mireille")
    browser = box.browser().open("/web/user/login")
    assert "Your whole address" in browser.text
    assert "Get an address" not in browser.text
    assert browser.open("/web/user/register").status == 404
    browser.open("/web/user/login").press("Enter", name="mireille", password=PASSWORD)
    assert browser.status == 403
    browser.press("Enter", name=f"mireille@{DOMAIN}", password=PASSWORD)
    assert browser.address == "/web/email/inbox"
    assert browser.client.get_cookie("lokole_town", path="/web") is not None
    assert browser.client.get_cookie("lokole", path="/") is None
    assert "data-news" not in browser.html


def test_counts_live_in_the_database_and_pass(box: Box) -> None:
    storage = DatabaseStorage("lokole-database://", count_in=CountIn(box.ports.database, box.ports.clock))
    assert storage.incr("k", 60) == 1
    assert storage.incr("k", 60, 2) == 3
    again = DatabaseStorage("lokole-database://", count_in=CountIn(box.ports.database, box.ports.clock))
    assert again.get("k") == 3
    assert again.get_expiry("k") == box.clock[0].timestamp() + 60
    assert again.check()
    box.later(seconds=61)
    assert storage.get("k") == 0
    assert storage.incr("k", 60) == 1
    storage.clear("k")
    assert storage.get("k") == 0
    storage.incr("a", 60)
    storage.incr("b", 60)
    assert storage.reset() == 2
    assert storage.base_exceptions is Temporary
    with pytest.raises(TypeError):
        DatabaseStorage("lokole-database://")  # type: ignore[call-arg]
