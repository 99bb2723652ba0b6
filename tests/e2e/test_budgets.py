"""The budgets of bytes and memory, held by every run: the same measurements as ``make bench``, with fewer letters where memory is flat.

CPU and time are not asserted anywhere: the machine is shared.
"""

from __future__ import annotations

import pytest

from tests.bench import box, build_package, import_package
from tests.bench.run import TARGETS

pytestmark = pytest.mark.e2e


def test_a_box_stays_small_after_200_pages_and_so_does_its_inbox() -> None:
    figures = {figure.name: figure.value for figure in box.measure()}
    print(figures)
    assert TARGETS["box_pss_mib"].is_met_by(figures["box_pss_mib"])
    assert TARGETS["inbox_html_bytes"].is_met_by(figures["box_inbox_html_bytes"])


def test_taking_a_package_in_needs_little_memory() -> None:
    cost = import_package.cost_of(1_500)
    print(cost)
    assert TARGETS["import_10k_peak_mib"].is_met_by(cost["peak_over_idle_mib"])


def test_building_a_package_needs_little_memory() -> None:
    cost = build_package.cost_of(1_000)
    print(cost)
    assert TARGETS["package_5k_peak_mib"].is_met_by(cost["peak_over_idle_mib"])
