"""One person cannot get everybody's letters refused: what is over their day waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.mail.model import Contact, DeliveryState
from tests.sendgrid import KEY, sendgrid
from tests.unit.server.place import place_in
from tests.unit.server.test_send import letter, states


@pytest.mark.parametrize("together", [False, True])
def test_letters_over_the_limit_wait_for_the_next_day_and_others_do_not(tmp_path: Path, together: bool) -> None:
    with (
        sendgrid() as world,
        place_in(
            tmp_path,
            mail_out_port=SendGridMailOut(KEY, base_url=world.url) if together else None,
            recipients_a_day=2,
        ) as place,
    ):
        box = place.box("a.lokole.test", ["ann", "carl"])
        box.put([letter("u1", ("p1@example.org", "p2@example.org"))])
        box.put([letter("u2", ("p3@example.org",))])
        carl = Contact("carl@a.lokole.test")
        box.put([letter("u3", ("p4@example.org",), sender=carl)])
        assert states(place, "u2")["p3@example.org"][0] is DeliveryState.AT_SERVER
        assert states(place, "u3")["p4@example.org"][0] is DeliveryState.ACCEPTED
        place.clock.pass_by(hours=23)
        place.work()
        assert states(place, "u2")["p3@example.org"][0] is DeliveryState.AT_SERVER
        place.clock.pass_by(hours=2)
        place.work()
        assert states(place, "u2")["p3@example.org"][0] is DeliveryState.ACCEPTED
