"""Two servers and two workers over PostgreSQL, RabbitMQ and Azurite: a rolling restart under load, and kills, lose and double nothing."""

from __future__ import annotations

import random

import pytest

from tests.rigs.many import prove

pytestmark = pytest.mark.e2e


def test_a_rolling_restart_and_kills_under_load_lose_and_double_nothing() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"python -m tests.rigs.many --seed {seed}")
    line = prove(0, seed, blows=["roll-server", "worker", "broker", "worker-child", "database", "server"], tail=120)
    assert line["letters_in"] > 10
    assert line["letters_out"] > 1
    assert (line["bad"], line["lost"], line["doubled"]) == (0, 0, 0), line
