"""What `tests/e2e/test_every_language_further.py` leaves out: the other half of languages with scripts and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_every_language_further import AT_ONCE, WAYS, go_through, name_of
from tests.e2e.test_people_browser import browser, empty_database
from tests.unit.webmail.conftest import Box, make_box

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser", "empty_database", "make_box"]
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", [one for one in WAYS if one not in AT_ONCE], ids=name_of)
def test_what_is_done_now_and_then(browser: Browser, make_box: Callable[..., Box], way: tuple[str, str, bool]) -> None:
    go_through(browser, make_box, way)
