"""The table for people of the first Lokole names nothing of ours that does not exist, and leaves nothing of theirs out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
import yaml

from lokole.cli import main
from lokole.config import SUCCESSORS, names
from lokole.device.settings import DeviceSettings
from lokole.server.settings import ServerSettings
from lokole.testing import shared_dir
from tests.unit.house.repository import ROOT, code_spans, documents, tables

PAGE = ROOT / "docs/from-the-first-lokole.md"
ROWS = list(tables(PAGE.read_text()))
SETTINGS = {*names(DeviceSettings), *names(ServerSettings)}


def commands(group: click.Command, prefix: str) -> Iterator[str]:
    """Every command of ours, as one types it."""
    yield prefix
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, f"{prefix} {name}")


def default_ports() -> set[int]:
    """The ports that `lokole local` opens unless told otherwise."""
    assert isinstance(main, click.Group)
    options = [option for option in main.commands["local"].params if (option.name or "").endswith("port")]
    return {option.default for option in options if isinstance(option.default, int)}


def routes() -> set[str]:
    """Every route of box and server: the rules in the sources of the views, and the paths of the API's description."""
    found = set(yaml.safe_load((ROOT / "src/lokole/server/openapi.yaml").read_text())["paths"])
    for path in (ROOT / "src/lokole").rglob("*.py"):
        for rule in re.findall(r"(?:route|get|post|add_url_rule|Route|Mount)\(\s*\"(/[^\"]*)\"", path.read_text()):
            found.add(rule)
    return found | {"/ui/"}  # Connexion's own


MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = set(commands(main, "lokole"))
ROUTES = routes()


def exists(name: str) -> bool:
    """Whether something of ours has that name; a name of no known kind does not exist."""
    if name == "make" or name.startswith("make "):
        return set(name.split()[1:]) <= MAKE_TARGETS
    if name.startswith("lokole "):
        return name in COMMANDS
    if re.fullmatch(r"LOKOLE_\w+", name):
        return name in SETTINGS
    if name.startswith("localhost:"):
        return int(name.removeprefix("localhost:")) in default_ports()
    if name.startswith("/"):
        return name in ROUTES
    return (ROOT / name).exists()


def test_every_row_has_three_cells_and_says_what_does_it_or_why_nothing_does() -> None:
    wrong = []
    for row in ROWS:
        there, here, why = (*row, "", "", "")[:3]
        does_something = bool(code_spans(here))
        if (
            len(row) != 3
            or not there
            or does_something == (here in ("nothing", "nothing yet"))
            or not (does_something or why)
        ):
            wrong.append(row)
    assert wrong == []
    assert len(ROWS) > 100


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_names_nothing_of_ours_that_does_not_exist(row: list[str]) -> None:
    assert [name for name in code_spans(row[1]) if not exists(name)] == []


@pytest.mark.parametrize(
    "name", ["make sandwich", "lokole dance", "LOKOLE_MOON", "localhost:1", "/moon", "docs/moon.md", "moon"]
)
def test_what_does_not_exist_is_noticed(name: str) -> None:
    assert not exists(name)


def row_of(name: str) -> list[str]:
    return next((row for row in ROWS if name in code_spans(row[0])), ["", "", ""])


@pytest.mark.parametrize("name", sorted(SUCCESSORS))
def test_the_table_and_the_refusal_of_an_old_setting_agree(name: str) -> None:
    """A program that refuses an old setting names its successor; the page must name the same."""
    there, here, _ = row_of(name)
    assert there, f"{name} has no row"
    named = set(re.findall(r"LOKOLE_\w+", SUCCESSORS[name])) & SETTINGS
    if here not in ("nothing", "nothing yet"):
        assert named & set(code_spans(here)) or not named


def test_nothing_that_people_of_the_first_lokole_type_is_left_out() -> None:
    shared = shared_dir()
    if shared is None:
        pytest.skip("the description of the first Lokole is not here")
    text = (shared / "first-lokole.md").read_text().partition("## 3.")[2]
    theirs = set(
        re.findall(
            r"OPWEN_\w+[A-Z]|--[a-z]+_[a-z_]+|--[a-z]{4,}|make [a-z-]+(?: [a-z-]+)*(?=`)|LOKOLE_\w*[A-Z](?=`)", text
        )
    )
    theirs -= {name for name in theirs if name.startswith("--") and name in ("--rm",)}
    page = " ".join(cell for row in ROWS for cell in row[:1])
    assert sorted(name for name in theirs if name not in page) == []


def test_every_setting_and_every_command_has_a_page() -> None:
    told = "\n".join(path.read_text() for path in documents())
    assert sorted(name for name in SETTINGS if name not in told) == []
    assert sorted(name for name in COMMANDS if f"`{name}" not in told) == []
