"""Asking the judge of the settings about a letter. Whoever it is, a letter is taken in without it rather than not at all."""

from __future__ import annotations

import logging

from lokole.mail.errors import Temporary
from lokole.ports.judge import NO_OPINION, Opinion, Posted
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_operator

log = logging.getLogger(__name__)

_SILENT = "Letters are taken in without a verdict: {}. Is it running, and is its address in the settings right?"


def ask(ports: ServerPorts, letter: Posted) -> Opinion:
    """What the judge thinks; nothing when there is none, or when it has no opinion just now, which is counted and told to the operator."""
    if ports.judge is None:
        return NO_OPINION
    try:
        return ports.judge.judge(letter)
    except Temporary as error:
        log.warning("a letter is taken in without a verdict: %s", error)
        ports.events.count("letter_unjudged")
        tell_operator(ports, error.operator or _SILENT.format(error))
    return NO_OPINION
