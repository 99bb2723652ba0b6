"""Settings: read once from the environment, checked completely, passed down frozen.

A setting is a field of a frozen dataclass with :func:`setting` metadata.
Secrets may come from a file named by ``<NAME>_FILE``.
Nothing is switched off by being empty; an unknown ``LOKOLE_…`` key stops the start with a sentence that names it,
a key of the first Lokole with a sentence that names its successor (:data:`SUCCESSORS`).
Nothing else in the project reads the environment, and this module reads only what it is given.

What a value may be follows from the type of its field:
``str``, ``int``, ``float``, ``bool`` (yes or no), ``Path`` (absolute or relative, ``~`` is not expanded),
:data:`Url` (with a scheme), ``timedelta`` (``30d``, ``12h``, ``15m``, ``90s``), a ``StrEnum``,
``tuple[X, ...]`` (values with commas between), and ``X | None`` where nothing is the default.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
PREFIX = "LOKOLE_"
TEST_PREFIX = "LOKOLE_TEST_"
FIRST_PREFIX = "OPWEN_"
FILE_SUFFIX = "_FILE"

#: an address with a scheme, such as ``https://mail.example.org`` or ``memory:``
Url = NewType("Url", str)

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(\d{1,6})\s*([dhms])")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class BadSettings(Exception):
    """One sentence per thing that is wrong with the settings."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Doc:
    name: str
    help: str
    secret: bool
    also: tuple[str, ...]


def setting(
    name: str, help: str, *, default: Any = dataclasses.MISSING, secret: bool = False, also: tuple[str, ...] = ()
) -> Any:
    """A dataclass field read from ``name`` (or one of ``also``, kept from the first Lokole); no default means that it must be there."""
    metadata = {"setting": _Doc(name, help, secret, also)}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


# --- reading -------------------------------------------------------------------------------------


def load(cls: type[T], environ: Mapping[str, str], *, others: Iterable[type] = ()) -> T:
    """The settings of ``cls`` from ``environ``; raises :class:`BadSettings` naming everything that is wrong at once.

    ``others`` are settings classes of other programs of this project on the same machine:
    their keys are known, and not read here.
    """
    problems: list[str] = []
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for field, doc in _documented(cls):
        found = _find(doc, environ, problems)
        if found is None:
            if field.default is dataclasses.MISSING and not any(doc.name in problem for problem in problems):
                problems.append(f"{doc.name} is missing: {' '.join(doc.help.split())}")
            continue
        try:
            values[field.name] = _parse(hints[field.name], found)
        except ValueError as error:
            shown = "" if doc.secret else f" “{_cut(found)}”"
            problems.append(f"{doc.name} cannot be{shown}: {error}")
    problems.extend(_strangers([cls, *others], environ))
    if problems:
        raise BadSettings(problems)
    try:
        return cls(**values)
    except ValueError as error:  # a check of the class itself, across settings
        raise BadSettings([str(error)]) from error


def describe(cls: type) -> str:
    """Every setting of ``cls`` with its explanation and its default, as a file of ``NAME=value`` lines.

    A setting that must be given stands there without a value, one that has a default stands behind a ``#``.
    """
    hints = typing.get_type_hints(cls)
    blocks = []
    for field, doc in _documented(cls):
        lines = [f"# {line}" for line in doc.help.splitlines()]
        lines.append(f"# {_kind(hints[field.name])}")
        if doc.secret:
            lines.append(f"# Secret; may be read from the file that {doc.name}{FILE_SUFFIX} names.")
        if doc.also:
            lines.append(f"# Also accepted under the name {', '.join(doc.also)}.")
        if field.default is dataclasses.MISSING:
            lines.append(f"{doc.name}=")
        elif field.default is None:
            lines.append(f"#{doc.name}=")
        else:
            lines.append(f"#{doc.name}={_written(field.default)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def names(cls: type) -> list[str]:
    """The names of all settings of ``cls``, those kept from the first Lokole included."""
    return [name for _, doc in _documented(cls) for name in (doc.name, *doc.also)]


def _documented(cls: type) -> list[tuple[dataclasses.Field[Any], _Doc]]:
    fields = dataclasses.fields(cls)
    return [(field, field.metadata["setting"]) for field in fields if "setting" in field.metadata]


def _find(doc: _Doc, environ: Mapping[str, str], problems: list[str]) -> str | None:
    found: list[tuple[str, str]] = []
    for name in (doc.name, *doc.also):
        if name in environ:
            if environ[name].strip():
                found.append((name, environ[name].strip()))
            else:
                problems.append(f"{name} is empty; give it a value or remove it.")
        file_name = environ.get(name + FILE_SUFFIX)
        if file_name is None or not doc.secret:
            continue
        try:
            text = Path(file_name).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            problems.append(f"{name}{FILE_SUFFIX} names “{_cut(file_name)}”, which cannot be read: {reason}.")
            continue
        if text:
            found.append((name + FILE_SUFFIX, text))
        else:
            problems.append(f"{name}{FILE_SUFFIX} names “{_cut(file_name)}”, which is empty.")
    if len({value for _, value in found}) > 1:
        problems.append(f"{' and '.join(name for name, _ in found)} say different things; keep one.")
    return found[0][1] if found else None


def _strangers(classes: list[type], environ: Mapping[str, str]) -> list[str]:
    documented = [doc for cls in classes for _, doc in _documented(cls)]
    known = {name for doc in documented for name in (doc.name, *doc.also)}
    known |= {name + FILE_SUFFIX for doc in documented if doc.secret for name in (doc.name, *doc.also)}
    problems = []
    for name in sorted(environ):
        if name in known or name.startswith(TEST_PREFIX) or not name.startswith((PREFIX, FIRST_PREFIX)):
            continue
        if name in SUCCESSORS:
            problems.append(f"{name} is a setting of the first Lokole: {SUCCESSORS[name]}")
        elif name.startswith(FIRST_PREFIX):
            problems.append(f"{name} is no setting; settings begin with {PREFIX} (see `lokole config describe`).")
        else:
            likely = _likely(name, known)
            hint = f" Did you mean {likely}?" if likely else " See `lokole config describe`."
            problems.append(f"{name} is no setting.{hint}")
    return problems


def _likely(name: str, known: set[str]) -> str | None:
    import difflib  # only on the way to an error

    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    return matches[0] if matches else None


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


# --- values --------------------------------------------------------------------------------------


def _parse(hint: Any, text: str) -> Any:
    """The value of type ``hint`` that ``text`` writes down; raises ValueError with a sentence."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [part for part in typing.get_args(hint) if part is not type(None)]
        return _parse(inner, text)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_parse(inner, part.strip()) for part in text.split(",") if part.strip())
    if hint is str:
        return text
    if hint is Url:
        return _url(text)
    if hint is bool:
        if text not in ("yes", "no"):
            raise ValueError("say yes or no.")
        return text == "yes"
    if hint is int or hint is float:
        try:
            return hint(text)
        except ValueError:
            raise ValueError("it must be a number.") from None
    if hint is Path:
        return Path(text)
    if hint is timedelta:
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError("it must be a time such as 30d, 12h, 15m or 90s.")
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(text)
        except ValueError:
            raise ValueError(f"it must be one of {', '.join(member.value for member in hint)}.") from None
    raise TypeError(f"no reader for settings of type {hint!r}")


def _url(text: str) -> Url:
    if not _SCHEME.match(text):
        raise ValueError("it must begin with a scheme, as https:// does.")
    try:
        urlsplit(text)
    except ValueError as error:
        raise ValueError("it is no address.") from error
    return Url(text)


def _kind(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [part for part in typing.get_args(hint) if part is not type(None)]
        return _kind(inner)
    if origin is tuple:
        return f"Several, with commas between; each: {_kind(typing.get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"One of {', '.join(member.value for member in hint)}."
    words = {
        str: "Text.",
        Url: "An address with a scheme.",
        bool: "yes or no.",
        int: "A whole number.",
        float: "A number.",
        Path: "A path.",
        timedelta: "A time such as 30d, 12h, 15m or 90s.",
    }
    return words[hint]


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(_written(part) for part in value)
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        unit = next(unit for unit, size in _UNITS.items() if seconds % size == 0)
        return f"{seconds // _UNITS[unit]}{unit}"
    return str(value)


# --- the first Lokole ----------------------------------------------------------------------------


def _azure(prefix: str, successor: str) -> dict[str, str]:
    return {f"{prefix}_{part}": successor for part in ("NAME", "KEY", "HOST", "SECURE")}


_CLAIM = "the box learns it when it registers (`lokole device register CODE --server URL`)."
_NO_STORAGE = "a box holds no storage keys any more; it talks to the server only, after `lokole device register`."
_BLOBS = "use LOKOLE_BLOBS, such as azure://ACCOUNT/CONTAINER, with LOKOLE_BLOBS_KEY."
_TABLES = "there are no storage tables any more; use LOKOLE_DATABASE."
_EXCHANGE = "use LOKOLE_EXCHANGE, such as azure://ACCOUNT/CONTAINER, with LOKOLE_EXCHANGE_KEY."
_QUEUE = "use LOKOLE_JOBS: rows: needs no broker, amqp: and azureservicebus: do, with LOKOLE_JOBS_PASSWORD."
_INSIGHTS = "use LOKOLE_APPLICATION_INSIGHTS, the connection string of the resource."
_PICTURES = "use LOKOLE_PICTURE_SIDE, the longest side in pixels."

#: Every setting of the first Lokole that means nothing here under its old name, and what does its work now.
SUCCESSORS: dict[str, str] = {
    "OPWEN_APP_ROOT": "use LOKOLE_PATH_PREFIX.",
    "OPWEN_STATE_DIRECTORY": "use LOKOLE_DATA.",
    "OPWEN_SESSION_KEY": "use LOKOLE_SESSION_KEY.",
    "OPWEN_MAX_UPLOAD_SIZE_MB": "use LOKOLE_MAX_UPLOAD_MB.",
    "OPWEN_SIM_TYPE": "use LOKOLE_UPLINK.",
    "OPWEN_SYNC_SCHEDULE": "the schedule is kept in the database; an administrator sets it on the box's page /admin.",
    "OPWEN_EMAILS_PER_PAGE": "use LOKOLE_PAGE_SIZE.",
    "OPWEN_CLIENT_NAME": _CLAIM,
    "OPWEN_CLIENT_ID": _CLAIM,
    "OPWEN_ROOT_DOMAIN": _CLAIM,
    "OPWEN_EMAIL_SERVER_HOSTNAME": "use LOKOLE_SERVER_URL, or --server of `lokole device register`.",
    "OPWEN_EMAIL_SERVER_ENDPOINT": "use LOKOLE_SERVER_URL, or --server of `lokole device register`.",
    **_azure("OPWEN_REMOTE_ACCOUNT", _NO_STORAGE),
    "OPWEN_REMOTE_RESOURCE_CONTAINER": _NO_STORAGE,
    "OPWEN_COMPRESSION": "use LOKOLE_COMPRESSION.",
    "OPWEN_NEWS_SENDERS": "an administrator lists them on the box's page /admin/board.",
    "OPWEN_CAN_REGISTER_USER": "use LOKOLE_CAN_SIGN_UP.",
    "OPWEN_CAN_CHANGE_PASSWORD": "use LOKOLE_CAN_CHANGE_PASSWORD.",
    "OPWEN_CAN_SEARCH_EMAIL": "use LOKOLE_CAN_SEARCH.",
    "OPWEN_RESTART_PATH": "nothing needs it: the box is one process, which systemd restarts.",
    "OPWEN_SETTINGS": "settings come from the environment only; systemd's EnvironmentFile= reads a file into it.",
    "OPWEN_ENABLE_DEBUG": "there is no debug mode.",
    **_azure("LOKOLE_EMAIL_SERVER_AZURE_BLOBS", _BLOBS),
    **_azure("LOKOLE_EMAIL_SERVER_AZURE_TABLES", _TABLES),
    **_azure("LOKOLE_CLIENT_AZURE_STORAGE", _EXCHANGE),
    "LOKOLE_STORAGE_PROVIDER": "the beginning of LOKOLE_BLOBS says it: folder://, azure:// or s3://.",
    "LOKOLE_QUEUE_BROKER_SCHEME": _QUEUE,
    "LOKOLE_QUEUE_BROKER_URL": _QUEUE,
    "LOKOLE_EMAIL_SERVER_QUEUES_SAS_NAME": _QUEUE,
    "LOKOLE_EMAIL_SERVER_QUEUES_SAS_KEY": _QUEUE,
    "LOKOLE_EMAIL_SERVER_QUEUES_NAMESPACE": _QUEUE,
    "LOKOLE_EMAIL_SERVER_APPINSIGHTS_KEY": _INSIGHTS,
    "LOKOLE_EMAIL_SERVER_APPINSIGHTS_HOST": _INSIGHTS,
    "LOKOLE_RESOURCE_SUFFIX": "name the things in full: LOKOLE_DATABASE, LOKOLE_BLOBS, LOKOLE_EXCHANGE.",
    "LOKOLE_SENDGRID_MAX_RETRIES": "nothing needs it: what fails for a while is tried again for five days.",
    "LOKOLE_SENDGRID_RETRY_INTERVAL_SECONDS": "nothing needs it: the time between two attempts grows by itself.",
    "LOKOLE_DNS_PROVIDER": "use LOKOLE_DNS.",
    "LOKOLE_MAX_WIDTH_EMAIL_IMAGES": _PICTURES,
    "LOKOLE_MAX_HEIGHT_EMAIL_IMAGES": _PICTURES,
}
