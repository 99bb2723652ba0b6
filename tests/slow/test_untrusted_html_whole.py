"""All vectors of ``tests/e2e/test_untrusted_html.py`` one by one against the frame and its policy alone: some minutes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.test_untrusted_html import Rig, browser, empty_database, make_box, rig, sanitiser_off, vectors

pytestmark = pytest.mark.slow
__all__ = ["browser", "empty_database", "make_box", "rig", "sanitiser_off"]


@pytest.mark.usefixtures("sanitiser_off")
def test_the_frame_and_its_policy_alone_keep_every_script_of_every_vector_from_running(rig: Callable[..., Rig]) -> None:
    raw = rig(policy=True)
    raw.show(vectors(), at_once=1)
    assert raw.scripts == []
