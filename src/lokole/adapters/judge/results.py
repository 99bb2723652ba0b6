"""What a mail server in front found out: the Authentication-Results (RFC 8601) of the one that the settings name.

What a letter says of itself is believed in no case, so fields from before the last hop are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes

from lokole.ports.judge import Opinion, Posted

_MAX_HEADER = 64 * 1024
_METHOD = re.compile(r"\s*(spf|dkim|dmarc)\s*=\s*(\w+)", re.IGNORECASE)
_PROPERTY = re.compile(r"\b(smtp\.mailfrom|header\.d|header\.i|header\.from)\s*=\s*\"?([^\s;\"()]+)", re.IGNORECASE)
_COMMENT = re.compile(r"\([^()]*\)")


class ResultsJudge:
    """Believes the mail server that calls itself ``authserv_id``."""

    def __init__(self, authserv_id: str) -> None:
        self._authserv_id = authserv_id

    def judge(self, letter: Posted) -> Opinion:
        """As the port says; it always has an opinion, and never about junk."""
        spf_passed, signers = False, set[str]()
        for method, result, properties in _results(letter.raw, self._authserv_id):
            if result != "pass":
                continue
            if method == "spf":
                spf_passed |= _domain(properties.get("smtp.mailfrom", "")) == _domain(letter.sender)
            elif method == "dkim":
                signers.add(_domain(properties.get("header.d", "") or properties.get("header.i", "")))
            elif method == "dmarc":
                signers.add(_domain(properties.get("header.from", "")))
        return Opinion(spf_passed, frozenset(signers - {""}))


def _domain(text: str) -> str:
    return text.rpartition("@")[2].strip(" <>.\"'").lower()


def _results(raw: bytes, authserv_id: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Method, result and properties, from the fields of the last hop only: what is below the second Received was there before."""
    received = 0
    for name, value in message_from_bytes(raw[:_MAX_HEADER]).items():
        if name.lower() == "received":
            received += 1
            if received > 1:
                return
        if name.lower() != "authentication-results":
            continue
        first, *rest = _without_comments(str(value)).split(";")
        if first.split()[:1] != [authserv_id]:
            continue
        for one in rest:
            method = _METHOD.match(one)
            if method is not None:
                properties = {key.lower(): told for key, told in _PROPERTY.findall(one)}
                yield method[1].lower(), method[2].lower(), properties


def _without_comments(text: str) -> str:
    for _ in range(10):
        plain = _COMMENT.sub(" ", text)
        if plain == text:
            break
        text = plain
    return text
