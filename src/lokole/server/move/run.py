"""One run of a move, in the order in which one thing needs the other; what was taken before is passed by."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from lokole.mail.errors import Refused
from lokole.mail.model import normal_domain
from lokole.server.move import layout
from lokole.server.move.domains import Move, Source, take_domains, take_people
from lokole.server.move.letters import take_letters
from lokole.server.move.report import Report
from lokole.server.move.underway import take_messages, take_packages
from lokole.server.ports import ServerPorts


def import_first(
    ports: ServerPorts,
    source: Source,
    *,
    clients_url: str,
    only: Iterable[str] = (),
    dry: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Take in everything of a first Lokole's server, or of its domains ``only``; ``dry`` reads all of it and writes nothing.

    ``clients_url`` is where its boxes exchange packages, compared with LOKOLE_EXCHANGE; ``say`` hears what is being done.
    Raises Refused (settings that its boxes cannot live with, a domain that is not there) and Temporary: run it again then.
    """
    settings = ports.settings
    if not settings.v1_boxes or ports.exchange is None:
        raise Refused("set LOKOLE_V1_BOXES=yes and LOKOLE_EXCHANGE: the boxes speak version 1", code="setting")
    move = Move(ports, source, Report(dry))
    if not is_same_exchange(settings.exchange or "", clients_url):
        move.report.warnings.append(
            f"Boxes will go on putting packages into {layout.PACKAGES} of {clients_url.partition('?')[0]}, "
            f"but LOKOLE_EXCHANGE is {(settings.exchange or '').partition('?')[0]}."
        )
    steps: tuple[tuple[str, Callable[[Move], None]], ...] = (
        ("people", take_people),
        ("letters", take_letters),
        ("messages that were not read", take_messages),
        ("packages that were not read", take_packages),
    )
    say("domains")
    take_domains(move, frozenset(normal_domain(one) for one in only))
    for words, step in steps:
        say(words)
        step(move)
    return move.report


def is_same_exchange(exchange: str, clients: str) -> bool:
    """Whether LOKOLE_EXCHANGE is where boxes that used ``clients`` put their packages."""
    ours, theirs = urlsplit(exchange), urlsplit(clients)
    if ours.scheme == "azure":
        same = ours.netloc == theirs.netloc and ours.query == theirs.query
        return same and theirs.scheme == "azure" and ours.path.strip("/") == layout.PACKAGES
    return (ours.scheme, ours.path.rstrip("/")) == (theirs.scheme, theirs.path.rstrip("/"))
