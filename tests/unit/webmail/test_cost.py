"""What bytes cost: the same words everywhere, and never nothing for what costs something."""

from __future__ import annotations

import pytest

from lokole.webmail.cost import Price
from tests.unit.webmail.conftest import Box


@pytest.mark.parametrize(
    ("per_mb", "count", "said", "about"),
    [
        (90, 0, "0 FC", "about 0 FC"),
        (90, 1, "less than 1 FC", "less than 1 FC"),
        (90, 11_000, "less than 1 FC", "less than 1 FC"),
        (90, 11_200, "1 FC", "about 1 FC"),
        (90, 100_000, "9 FC", "about 9 FC"),
        (120, 2_750_000, "330 FC", "about 330 FC"),
        (0.5, 100_000, "less than 0.1 FC", "less than 0.1 FC"),
        (0.5, 250_000, "0.1 FC", "about 0.1 FC"),
        (0.5, 2_000_000, "1 FC", "about 1 FC"),
        (None, 5, "", ""),
    ],
)
def test_a_cost_is_said_as_exactly_as_there_is_money_for(
    box: Box, per_mb: float | None, count: int, said: str, about: str
) -> None:
    with box.app.test_request_context(headers={"Accept-Language": "en"}):
        assert (Price(per_mb).said(count), Price(per_mb).about(count)) == (said, about)


def test_the_number_is_written_as_in_the_language(box: Box) -> None:
    with box.app.test_request_context(headers={"Accept-Language": "fr"}):
        assert Price(0.5, "USD").said(1) == "moins de 0,1 USD"


def test_the_search_button_stands_below_what_it_goes_by(box: Box) -> None:
    html = box.signed_in("mireille").open("/email/search").html
    form = html[html.index("<form role=search") :]
    form = form[: form.index("</form>")]
    assert form.index("name=query") < form.index("<details") < form.index("name=star") < form.index("<button")
    assert form.count("<button") == 1
