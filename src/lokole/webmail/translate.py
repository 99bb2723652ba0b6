"""``python -m lokole.webmail.translate COMMAND``: the catalogues of the pages' sentences.

``extract`` writes ``babel.pot`` from the code and the templates, ``update`` brings every ``messages.po`` up to it,
``compile`` makes the ``messages.mo`` of the complete ones, and ``check`` changes nothing and fails when something is out of date:
a sentence that the template lacks or no longer needs, a complete language with a sentence missing, unsure or left over,
a place-holder lost in translation, a ``.mo`` that is not made from its ``.po``.
The ``.mo`` files are kept in the repository, so that an installation needs no step for them.

For people with a checkout; an installed package has no ``babel.cfg`` and needs none.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from lokole.webmail.language import DRAFTS, OFFERED

_FOLDER = Path(__file__).parent / "translations"
_KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}
_PLACE = re.compile(r"%\((\w+)\)s")
#: not a date of today: a catalogue changes only when a sentence does
_DATE = datetime(2026, 1, 1, tzinfo=UTC)
_SOURCE = "en"
_HEADER = """\
# {name} sentences of Lokole's pages.
# How to work on them stands in docs/translate.md.
#"""


def main(arguments: list[str]) -> int:
    """The exit status of ``COMMAND [root of the checkout]``."""
    commands = {"extract": extract, "update": update, "compile": compile_all, "check": check}
    if not arguments or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(arguments[1]) if len(arguments) > 1 else Path.cwd()
    problems = commands[arguments[0]](root)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def extract(root: Path) -> list[str]:
    """Write ``babel.pot``."""
    (root / "babel.pot").write_bytes(_written(_from_code(root)))
    return []


def update(root: Path) -> list[str]:
    """Bring every catalogue up to the code; new sentences are empty, changed ones unsure."""
    extract(root)
    template = _from_code(root)
    for language in (*OFFERED, *DRAFTS):
        if language == _SOURCE:
            continue
        path = _po(language)
        catalog = _read(path, language) if path.exists() else Catalog(locale=language, fuzzy=False)
        catalog.update(template, no_fuzzy_matching=False, keep_user_comments=True)
        catalog.obsolete.clear()
        catalog.project, catalog.version = template.project, "1"
        catalog.header_comment = _HEADER.format(name=catalog.locale.english_name if catalog.locale else language)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_written(catalog))
    return []


def compile_all(root: Path) -> list[str]:
    """Make every ``.mo``."""
    for language in OFFERED:
        if _po(language).exists():
            _po(language).with_suffix(".mo").write_bytes(_compiled(_read(_po(language), language)))
    return []


def check(root: Path) -> list[str]:
    """What is out of date, one sentence each."""
    template = _from_code(root)
    wanted = {_key(message) for message in template if message.id}
    problems = []
    pot = root / "babel.pot"
    if not pot.exists() or pot.read_bytes() != _written(template):
        problems.append("babel.pot is out of date: run `python -m lokole.webmail.translate extract`")
    for language in (*OFFERED, *DRAFTS):
        if language == _SOURCE:
            continue
        path = _po(language)
        if not path.exists():
            problems.append(f"{language}: there is no messages.po")
            continue
        catalog = _read(path, language)
        if language in OFFERED:
            problems += [f"{language}: {problem}" for problem in _incomplete(catalog, wanted)]
        problems += [f"{language}: {problem}" for problem in _damaged(catalog)]
        compiled = path.with_suffix(".mo")
        if language in DRAFTS:
            continue
        if not compiled.exists() or compiled.read_bytes() != _compiled(catalog):
            problems.append(f"{language}: messages.mo is out of date: run `python -m lokole.webmail.translate compile`")
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


def _po(language: str) -> Path:
    return _FOLDER / language / "LC_MESSAGES" / "messages.po"


def _read(path: Path, language: str) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def _from_code(root: Path) -> Catalog:
    with (root / "babel.cfg").open() as file:
        method_map, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    catalog = Catalog(
        project="Lokole",
        version="1",
        copyright_holder="the Lokole maintainers",
        msgid_bugs_address="https://github.com/ascoderu/lokole/issues",
        creation_date=_DATE,
        charset="utf-8",
        fuzzy=False,
    )
    found = extract_from_dir(
        root, method_map, options, keywords=_KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=False
    )
    for filename, _line, message, comments, context in sorted(found, key=lambda one: (one[0], one[1])):
        catalog.add(message, None, [(filename, 0)], auto_comments=comments, context=context)
    return catalog


def _written(catalog: Catalog) -> bytes:
    # the sheet names files, not lines: else every edit above a sentence would change it
    for message in catalog:
        message.locations = sorted({(filename, 0) for filename, _line in message.locations})
    out = io.BytesIO()
    write_po(out, catalog, width=110, include_lineno=False, sort_by_file=True, ignore_obsolete=True)
    lines = out.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b'"Generated-By'))


def _compiled(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
