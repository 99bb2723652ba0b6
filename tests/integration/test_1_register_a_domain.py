"""An operator gives a new village its place on the server, looks at it, and takes it away again."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Village, eventually

pytestmark = pytest.mark.integration


def test_a_domain_is_registered_looked_at_and_removed(village: Village) -> None:
    domain = f"{village.name('kintambo')}.lokole.test"

    # Registering answers at once; the work runs behind.
    assert village.api("POST", "/api/email/register/", {"domain": domain}) == (201, "accepted")

    # The details come when it is done, with the one-time code that the box will claim the domain with.
    eventually(lambda: village.api("GET", f"/api/email/register/{domain}")[0] == 200)
    _, details = village.api("GET", f"/api/email/register/{domain}")
    assert details["domain"] == domain
    assert details["code"]

    # It stands in the list, and nobody can have it a second time.
    _, listed = village.api("GET", "/api/email/register/")
    assert {"domain": domain} in listed["clients"]
    assert village.api("POST", "/api/email/register/", {"domain": domain})[0] == 409

    # Removed, it is unknown.
    assert village.api("DELETE", f"/api/email/register/{domain}")[0] == 200
    eventually(lambda: village.api("GET", f"/api/email/register/{domain}")[0] == 404)


def test_nobody_registers_without_the_pair(village: Village) -> None:
    status, _ = village.api("POST", "/api/email/register/", {"domain": "x.lokole.test"}, signed_in=False)
    assert status == 401
