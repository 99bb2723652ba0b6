"""``make bench``: every figure as one JSON line ``{"name", "value", "unit"}``.

``python -m tests.bench.run NAME…`` measures only the figures named (and what comes with them),
``--server`` (``make bench-server``) the longer ones of a server with all that belongs to it.
Lines whose name begins with ``wall_`` or ``calibration`` are for reading beside the others.
The exit code is 1 when a budget of bytes or memory is missed, never for time: the machine is shared.
What each figure means stands in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.measure import Figure, calibration_cpu_s


@dataclass(frozen=True)
class Target:
    """What a figure has to reach; ``gates`` when missing it fails the build."""

    limit: float
    gates: bool
    at_least: bool = False

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


TARGETS = {
    "box_pss_mib": Target(66, gates=True),
    "inbox_50k_cpu_ms": Target(20, gates=False),
    "search_50k_cpu_ms": Target(30, gates=False),
    "inbox_html_bytes": Target(15_000, gates=True),
    "first_visit_bytes": Target(25_000, gates=True),
    "next_page_bytes": Target(6_000, gates=True),
    "own_enter_bytes": Target(11_000, gates=True),
    "own_next_page_bytes": Target(6_000, gates=True),
    "inbox_crowd_p95_ms": Target(100, gates=False),
    "inbox_crowd_slow_p95_ms": Target(400, gates=False),
    "idle_visit_bytes": Target(600, gates=True),
    "idle_visit_connections": Target(1, gates=True),
    "inbox_growth_10x": Target(1.3, gates=False),
    "import_10k_cpu_s": Target(9, gates=False),
    "import_10k_peak_mib": Target(32, gates=True),
    "webhook_per_cpu_s": Target(100, gates=False, at_least=True),
    "package_5k_cpu_s": Target(5, gates=False),
    "package_5k_peak_mib": Target(64, gates=True),
    "boxes_10k_cpu_s": Target(2, gates=False),
    "trouble_10k_cpu_s": Target(1, gates=False),
    "server_idle_pss_mib": Target(110, gates=True),
    "server_10k_pss_mib": Target(110, gates=True),
    "accepted_embedded_per_s": Target(150, gates=False, at_least=True),
    "stored_embedded_per_s": Target(100, gates=False, at_least=True),
    "accepted_cloud_per_s": Target(60, gates=False, at_least=True),
    "stored_cloud_per_s": Target(40, gates=False, at_least=True),
    "visits_failed": Target(0, gates=True),
    "visit_p95_s": Target(10, gates=False),
    "visits_server_peak_mib": Target(400, gates=True),
}

#: module of each measurement -> the figures of the table that it makes
MEASUREMENTS = {
    "box": ("box_pss_mib",),
    "pages": ("inbox_50k_cpu_ms", "search_50k_cpu_ms", "inbox_html_bytes", "inbox_growth_10x"),
    "first_visit": ("first_visit_bytes", "next_page_bytes", "own_enter_bytes", "own_next_page_bytes"),
    "crowd": ("inbox_crowd_p95_ms", "inbox_crowd_slow_p95_ms"),
    "idle_visit": ("idle_visit_bytes", "idle_visit_connections"),
    "import_package": ("import_10k_cpu_s", "import_10k_peak_mib"),
    "webhook": ("webhook_per_cpu_s",),
    "build_package": ("package_5k_cpu_s", "package_5k_peak_mib"),
    "fleet": ("boxes_10k_cpu_s", "trouble_10k_cpu_s"),
}
#: the same for ``make bench-server``: what takes minutes, or needs a database and a store beside the server
SERVER_MEASUREMENTS = {
    "intake_embedded": (
        "server_idle_pss_mib",
        "server_10k_pss_mib",
        "accepted_embedded_per_s",
        "stored_embedded_per_s",
    ),
    "intake_cloud": ("accepted_cloud_per_s", "stored_cloud_per_s"),
    "visits": ("visits_failed", "visit_p95_s", "visits_server_peak_mib"),
}


def main(names: list[str]) -> int:
    """Measure and print; returns the exit code."""
    chosen = SERVER_MEASUREMENTS if names == ["--server"] else MEASUREMENTS
    if names and chosen is not SERVER_MEASUREMENTS:
        chosen = MEASUREMENTS | SERVER_MEASUREMENTS
    names = [name for name in names if name != "--server"]
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        print(f"no such figure: {', '.join(unknown)}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    missed: list[str] = []
    _print(Figure("calibration_cpu_s", calibration_cpu_s(), "s"))
    for module, figures in chosen.items():
        if names and not set(names) & set(figures):
            continue
        measure: Callable[[], Iterator[Figure]] = importlib.import_module(f"tests.bench.{module}").measure
        for figure in measure():
            _print(figure)
            target = TARGETS.get(figure.name)
            if target is not None and not target.is_met_by(figure.value):
                wanted = "at least" if target.at_least else "at most"
                print(f"{figure.name}: {figure.value:.4g}, wanted {wanted} {target.limit:g}", file=sys.stderr)
                if target.gates:
                    missed.append(figure.name)
    _print(Figure("calibration_cpu_s", calibration_cpu_s(), "s"))
    return 1 if missed else 0


def _print(figure: Figure) -> None:
    print(json.dumps({"name": figure.name, "value": float(f"{figure.value:.4g}"), "unit": figure.unit}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
