"""The documents keep their promises: drawings that draw, links that lead somewhere, one sentence on a line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.house.repository import ROOT, documents, fenced, without_fences

HERE = Path(__file__).parent


def heading_anchor(heading: str) -> str:
    """The anchor that forges give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def mermaid(texts: list[str]) -> list[dict[str, str]]:
    """What Mermaid's own parser says about each drawing."""
    node = ROOT / ".venv/bin/node"
    if not node.exists() or not (ROOT / "node_modules/mermaid").exists():
        pytest.skip("Mermaid is not installed: make setup-test")
    done = subprocess.run(
        [node, HERE / "mermaid.mjs"], input=json.dumps(texts), capture_output=True, text=True, timeout=120, check=True
    )
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers


def test_the_architecture_is_drawn_in_one_map_and_five_sequences() -> None:
    drawings = fenced((ROOT / "docs/architecture.md").read_text(), "mermaid")
    assert [answer.get("kind", answer.get("error")) for answer in mermaid(drawings)] == [
        "flowchart-v2",
        *["sequence"] * 5,
    ]


def test_every_drawing_in_every_document_can_be_drawn() -> None:
    found = [(path, text) for path in documents() for text in fenced(path.read_text(), "mermaid")]
    answers = mermaid([text for _, text in found])
    assert [
        (str(path), answer["error"]) for (path, _), answer in zip(found, answers, strict=True) if "error" in answer
    ] == []


def test_the_parser_of_drawings_finds_a_mistake() -> None:
    assert "error" in mermaid(["sequenceDiagram\n  A->>B hello\n"])[0]


def test_the_sequences_show_their_failures_and_where_a_letter_is_durable() -> None:
    _, registration, upload, download, comparing, carried = fenced(
        (ROOT / "docs/architecture.md").read_text(), "mermaid"
    )
    for answer in ("201", "400", "401", "403", "404", "409", "DELETE"):
        assert answer in registration
    for drawing in (registration, upload, download, comparing, carried):
        assert "alt " in drawing
        assert "DURABLE" in drawing
    for number in ("DURABLE 1", "DURABLE 2", "DURABLE 3"):
        assert number in upload
        assert number in download


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    prose = without_fences(path.read_text())
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        if not other.exists():
            broken.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", without_fences(other.read_text()), re.MULTILINE)
            if anchor not in {heading_anchor(heading) for heading in headings}:
                broken.append(target)
    assert broken == []


def test_every_decision_record_has_its_three_parts_and_its_number() -> None:
    records = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequence"]


def is_prose(line: str) -> bool:
    """Whether a line is a sentence of a paragraph: no heading, list, table, quotation or link definition."""
    return re.match(r"\s*([#|>-]|\d+\.|$|Status: |\[)", line) is None and not line.startswith("  ")


def test_a_sentence_does_not_go_on_on_the_next_line() -> None:
    """So that a change shows as a change of that sentence."""
    found = []
    for path in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]:
        lines = without_fences(path.read_text()).splitlines()
        for line, following in pairwise(lines):
            if is_prose(line) and is_prose(following) and not re.search(r"[.:!?;)`*]$", line.strip()):
                found.append(f"{path.relative_to(ROOT)}: {line}")
    assert found == []


def test_the_readme_says_on_its_first_screen_what_works_and_what_does_not() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert "Works today" in first_screen
    assert "Does not yet" in first_screen
    assert "make run" in first_screen


def test_make_targets_named_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named: set[str] = set()
    for path in documents():
        if path.name != "from-the-first-lokole.md":  # has a test of its own, and names targets that are no more
            spans = re.findall(r"`make ([a-z -]+)`", path.read_text())
            named |= {target for span in spans for target in span.split()}
    assert named - targets == set()


def test_tests_named_in_documents_exist() -> None:
    named = {one for path in documents() for one in re.findall(r"`(tests/[\w/.-]+)`", path.read_text())}
    assert len(named) > 20
    assert {one for one in named if not (ROOT / one).exists()} == set()


def test_the_page_of_settings_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "tools/settings_page.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
