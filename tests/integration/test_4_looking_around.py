"""What a newcomer opens: the addresses of the first Lokole, the console of the API, pings and boxes."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Village
from tests.person_at import PersonAt

pytestmark = pytest.mark.integration


def test_every_address_answers_and_links_the_others(village: Village) -> None:
    addresses = [village.box, village.server, village.world, village.status]
    for address in addresses:
        page = PersonAt(address).open("/")
        assert page.status == 200
        shown = page.content.decode()
        if address == village.status:
            shown += PersonAt(address).open("/config.json").content.decode()  # what its scripts make links of
        for other in addresses:
            assert other == address or other in shown


def test_box_and_server_answer_pings(village: Village) -> None:
    for address in (village.box, village.server):
        assert PersonAt(address).open("/healthcheck/ping").status == 200


def test_the_api_has_a_console_and_a_description(village: Village) -> None:
    server = PersonAt(village.server)
    assert "swagger" in server.open("/ui/").content.decode().lower()
    assert b"/api/email/register/" in server.open("/openapi.json").content


def test_the_box_stands_on_the_status_page(village: Village) -> None:
    assert village.status_of_box()["state"] == "claimed"
    page = PersonAt(village.status).open("/")
    assert village.domain in page.follow("the boxes in short").text


def test_pending_letters_and_people_are_counted(village: Village) -> None:
    for what, key in (("pending", "pending_emails"), ("users", "users")):
        status, counted = village.api("GET", f"/api/email/metrics/{what}/{village.domain}", signed_in=False)
        assert status == 200
        assert counted[key] >= 0
