"""Hours as they are typed and explained."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lokole.mail.cron import read_cron
from lokole.mail.errors import Refused
from lokole.webmail import schedule
from tests.unit.webmail.conftest import Box


@pytest.mark.parametrize(
    ("hours", "days", "kept"),
    [
        ("2", [], {"hours": [2], "days": None}),
        ("14, 2", list("0123456"), {"hours": [2, 14], "days": None}),
        ("02:00; 14h 14", ["6", "0", "x"], {"hours": [2, 14], "days": [0, 6]}),
        ("0 23", ["3"], {"hours": [0, 23], "days": [3]}),
    ],
)
def test_hours_are_read_as_people_type_them(hours: str, days: list[str], kept: object) -> None:
    assert schedule.from_form("hours", hours, days, "") == kept


@pytest.mark.parametrize("hours", ["", " ", "24", "-1", "two", "2:30", "1-5", "²"])
def test_other_hours_are_refused(hours: str) -> None:
    with pytest.raises(Refused) as caught:
        schedule.from_form("hours", hours, [], "")
    assert caught.value.field == "hours"


@pytest.mark.parametrize(
    ("cron", "minutes", "hours"),
    [
        ("0 2 * * *", {0}, {2}),
        ("*/20 1-3 * * *", {0, 20, 40}, {1, 2, 3}),
        ("5,7 0/8 1 jan sun,3-5", {5, 7}, {0, 8, 16}),
    ],
)
def test_cron_is_read(cron: str, minutes: set[int], hours: set[int]) -> None:
    fields = read_cron(cron)
    assert fields[:2] == [minutes, hours]


def test_sunday_has_two_numbers_in_cron() -> None:
    assert read_cron("0 2 * * 7")[4] == read_cron("0 2 * * 0")[4] == {0}


@pytest.mark.parametrize(
    "cron",
    ["", "0 2 * *", "0 2 * * * *", "60 2 * * *", "0 24 * * *", "0 2 0 * *", "0 2 32 * *", "0 2 * 13 *", "0 2 * * 8",
     "0 2 * * * ; rm", "0 2 5-1 * *", "*/0 2 * * *", "0 2 * foo *", "1.5 2 * * *", "-1 2 * * *", "0,,1 2 * * *", "0 ² * * *"],
)  # fmt: skip
def test_other_cron_is_refused(cron: str) -> None:
    with pytest.raises(Refused) as caught:
        schedule.from_form("cron", "", [], cron)
    assert caught.value.field == "cron"


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ({"hours": [2], "days": None}, "Every day: 02:00."),
        ({"hours": [2, 14], "days": [0, 5]}, "On Monday and Saturday: 02:00 and 14:00."),
        ({"cron": "30 2,14 * * *"}, "Every day: 02:30 and 14:30."),
        ({"cron": "0 2 * * 0"}, "On Sunday: 02:00."),
        ({"cron": "0 2 1,15 * *"}, "On the 1 of the month and the 15 of the month: 02:00."),
        ({"cron": "0 2 * 12 *"}, "Every day: 02:00. Only in December."),
        ({"cron": "5 * * * *"}, "Every day: every hour at minute 05."),
        ({"cron": "* * * * *"}, "Every day: every minute."),
        ({"cron": "*/5 1-3 * * *"}, "at minutes 00, 05"),
        ({"cron": "nonsense"}, "These hours cannot be read. Choose new ones."),
    ],
)
def test_a_schedule_is_explained(box: Box, kept: dict[str, object], said: str) -> None:
    with box.app.test_request_context():
        assert said in schedule.explain(kept)


def test_a_schedule_is_explained_in_french(make_box: Callable[..., Box]) -> None:
    with make_box().app.test_request_context(headers={"Accept-Language": "fr"}):
        assert schedule.explain({"hours": [2], "days": [0, 1]}) == "lundi et mardi\u00a0: 02:00."
        assert schedule.weekday_names()[0] == "lundi"
