"""Compiled templates are kept, and nothing that befalls them fails a page."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from pytest import MonkeyPatch

from lokole.webmail.template_cache import TemplateCache


def render(folder: Path, source: str = "Mbote {{ name }}", trim_blocks: bool = False) -> str:
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.DictLoader({"x": source}),
        bytecode_cache=TemplateCache(folder),
        trim_blocks=trim_blocks,
    )
    return environment.get_template("x").render(name="Ada")


def compile_nothing(monkeypatch: MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was compiled again")

    monkeypatch.setattr(jinja2.Environment, "compile", refuse)


def test_what_was_compiled_once_is_not_compiled_again(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    assert render(tmp_path / "made") == "Mbote Ada"
    compile_nothing(monkeypatch)
    assert render(tmp_path / "made") == "Mbote Ada"


def test_another_text_and_other_options_are_compiled_anew(tmp_path: Path) -> None:
    render(tmp_path)
    assert render(tmp_path, "Bonjour {{ name }}") == "Bonjour Ada"
    assert render(tmp_path, "{% if 1 %}\nx\n{% endif %}\n") == "\nx\n"
    assert render(tmp_path, "{% if 1 %}\nx\n{% endif %}\n", trim_blocks=True) == "x\n"


@pytest.mark.parametrize("harm", ["cut", "zeros", "altered", "empty"])
def test_a_file_that_a_power_cut_has_torn_is_compiled_anew(tmp_path: Path, harm: str) -> None:
    render(tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    harmed = {
        "cut": content[: len(content) // 2],
        "zeros": bytes(len(content)),
        "altered": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        "empty": b"",
    }[harm]
    file.write_bytes(harmed)
    assert render(tmp_path) == "Mbote Ada"
    assert file.read_bytes() == content


def test_a_disk_that_takes_nothing_fails_no_page(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert render(tmp_path / "file") == "Mbote Ada"


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lokole.webmail.template_cache.Path.replace", full)
    assert render(tmp_path) == "Mbote Ada"
    assert list(tmp_path.iterdir()) == []
