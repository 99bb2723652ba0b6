"""``python -m lokole.webmail.translate``: whether the catalogues of the pages' sentences are up to date; changes nothing.

It fails when ``babel.pot`` lacks a sentence of the code or has one too many; when a compiled catalogue, whose language the pages offer,
has a sentence missing, unsure or left over; when a place-holder was lost in translation; and when a ``messages.mo`` is not made from its
``messages.po``. The ``.mo`` files are kept in the repository, so that an installation needs no step for them.

``pybabel`` makes and compiles the catalogues (docs/translate.md). For people with a checkout; an installed package has no ``babel.cfg``.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

_FOLDER = Path(__file__).parent / "translations"
#: as the Makefile gives them to ``pybabel extract``
_KEYWORDS = {**DEFAULT_KEYWORDS, "lazy_gettext": None, "mark": None}
_PLACE = re.compile(r"%\((\w+)\)s")


def main() -> int:
    """The exit status; what is out of date goes to standard error, one sentence each."""
    problems = check(Path.cwd())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def check(root: Path) -> list[str]:
    """What is out of date in the checkout at ``root``, one sentence each."""
    template = _from_code(root)
    wanted = {_key(message) for message in template if message.id}
    problems = []
    if _sentences(_read(root / "babel.pot")) != _sentences(template):
        problems.append("babel.pot is out of date: run `make texts`")
    for path in sorted(_FOLDER.glob("*/LC_MESSAGES/messages.po")):
        language = path.parent.parent.name
        catalog, compiled = _read(path, language), path.with_suffix(".mo")
        problems += [f"{language}: {problem}" for problem in _damaged(catalog)]
        if not compiled.exists():
            continue  # begun, and not offered
        problems += [f"{language}: {problem}" for problem in _incomplete(catalog, wanted)]
        if compiled.read_bytes() != _compiled(catalog):
            problems.append(f"{language}: messages.mo is out of date: run `make texts-compiled`")
    return problems


def _incomplete(catalog: Catalog, wanted: set[str]) -> Iterator[str]:
    known = {_key(message): message for message in catalog if message.id}
    for key in sorted(wanted):
        message = known.get(key)
        if message is None or not all(_strings(message)):
            yield f"missing: {key}"
        elif message.fuzzy:
            yield f"unsure: {key}"
    for key in sorted(set(known) - wanted):
        yield f"no longer used: {key}"


def _damaged(catalog: Catalog) -> Iterator[str]:
    for message in catalog:
        if not message.id:
            continue
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        allowed = {name for text in ids for name in _PLACE.findall(text)}
        needed = set(_PLACE.findall(ids[-1]))
        for number, text in enumerate(_strings(message)):
            names = set(_PLACE.findall(text))
            last = number == len(_strings(message)) - 1
            if text and (not names <= allowed or (last and names != needed)):
                yield f"place-holders differ: {_key(message)}"


def _strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _read(path: Path, language: str | None = None) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def _from_code(root: Path) -> Catalog:
    with (root / "babel.cfg").open() as file:
        method_map, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    catalog = Catalog()
    found = extract_from_dir(root, method_map, options, keywords=_KEYWORDS, comment_tags=("Translators:",))
    for filename, line, message, comments, context in found:
        catalog.add(message, None, [(filename, line)], auto_comments=comments, context=context)
    return catalog


def _sentences(catalog: Catalog) -> dict[object, tuple[set[str], set[str]]]:
    """Each sentence with what the code says to its translator and the files it stands in."""
    return {
        (message.id, message.context): (set(message.auto_comments), {name for name, _ in message.locations})
        for message in catalog
        if message.id
    }


def _compiled(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
