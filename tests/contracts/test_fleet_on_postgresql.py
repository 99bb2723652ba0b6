"""The numbers of many boxes at once, and emptying all of them, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.config import Url
from tests.servers import Postgres
from tests.unit.server.place import place_in
from tests.unit.server.test_fleet import check_numbers, check_statements
from tests.unit.test_cli_server import check_emptying, fill

pytestmark = pytest.mark.e2e


def test_a_handful_of_statements_and_each_its_own(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    for n, check in enumerate((check_statements, check_numbers)):
        with place_in(tmp_path / str(n), database=Url(postgres_server.new_database(postgres_template))) as place:
            check(place)


def test_a_server_is_emptied(tmp_path: Path, postgres_server: Postgres, postgres_template: str) -> None:
    with place_in(tmp_path, database=Url(postgres_server.new_database(postgres_template))) as place:
        fill(place)
        check_emptying(place)
