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


@pytest.mark.parametrize(("most", "left"), [(200, 200), (0, 203)])
def test_the_limit_of_the_settings_is_one_for_each_person_and_none_is_none(
    tmp_path: Path, most: int, left: int
) -> None:
    with place_in(tmp_path, recipients_a_day=most) as place:
        box = place.box("a.lokole.test", ["ann"])
        for n in range(4):
            box.put([letter(f"u{n}", tuple(f"p{n}-{m}@example.org" for m in range(50)))])
        box.put([letter("over", ("p4@example.org", "p5@example.org", "p6@example.org"))])
        assert len(place.world.sent) == left


@pytest.mark.parametrize("together", [False, True])
def test_what_has_waited_for_five_days_over_the_limit_comes_back_and_says_why(tmp_path: Path, together: bool) -> None:
    with (
        sendgrid() as world,
        place_in(
            tmp_path,
            mail_out_port=SendGridMailOut(KEY, base_url=world.url) if together else None,
            recipients_a_day=1,
        ) as place,
    ):
        box = place.box("a.lokole.test", ["ann"])
        uids = [f"u{n}" for n in range(9)]
        box.put([letter(uid, (f"{uid}@example.org",)) for uid in uids])
        left: list[tuple[int, int]] = []
        found: list[tuple[DeliveryState, str]] = []
        for _ in range(8):
            place.clock.pass_by(days=1, minutes=5)
            place.work()
            found = [states(place, uid)[f"{uid}@example.org"] for uid in uids]
            came, went = DeliveryState.ACCEPTED, DeliveryState.REFUSED
            left.append((sum(state is came for state, _ in found), sum(state is went for state, _ in found)))
        assert [accepted for accepted, _ in left[:4]] == [2, 3, 4, 5], "one a day, the first on the day it came"
        assert [refused for _, refused in left[:4]] == [0, 0, 0, 0]
        accepted, refused = left[-1]
        assert (accepted + refused, refused > 0) == (9, True)
        assert left[5] == left[-1], "after five days nothing waits"
        reasons = {reason for state, reason in found if state is DeliveryState.REFUSED}
        assert reasons == {"many-a-day"}
        told = [one.email for one in box.fetch() if one.email.subject.startswith("Your letter did not arrive")]
        assert len(told) == refused
        assert all("more letters were waiting than may leave for one person" in one.body for one in told)
