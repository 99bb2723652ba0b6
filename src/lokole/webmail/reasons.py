"""Why a letter did not arrive, in a sentence for whoever wrote it.

What the other side said is a stable word of ours, a status of RFC 3463 such as ``5.1.1``, the answer of a mail server, or two of these together.
Where there is no status the words are looked at, in the English that mail servers speak; what fits nothing gets a plain sentence.
"""

from __future__ import annotations

import re

from lokole.webmail.words import gettext

#: words of ours (protocol 7.5), which need no further explanation
OURS = frozenset(
    (
        "expired", "address", "nobody", "suppressed", "complaint", "many-a-day", "fault", "not-taken",
        "the letter is too long",
    )
)  # fmt: skip
_STATUS = re.compile(r"\b[245]\.(\d{1,3})\.(\d{1,3})\b")
_BASIC = re.compile(r"[45]\d\d\b")
#: statuses (RFC 3463 section 3) to a kind; "1" stands for all of a class that are not named
_OF_STATUS = {
    "1.2": "place", "1.3": "address", "1.6": "moved", "1.10": "place", "1": "no-address",
    "2.1": "closed", "2.2": "full", "2.3": "too-large", "2": "closed",
    "3.1": "full", "3.4": "too-large",
    "4.4": "place", "4": "reach",
    "5.2": "no-address", "5.3": "many",
    "6": "content",
    "7": "unwanted",
}  # fmt: skip
_OF_WORDS = (
    ("full", re.compile(r"quota|(mailbox|storage|inbox) (is )?full|\bfull\b|out of storage", re.IGNORECASE)),
    ("too-large", re.compile(r"too (large|big|long)|size (limit|exceed)|exceed\w* .*size", re.IGNORECASE)),
    (
        "no-address",
        re.compile(r"(no|unknown|invalid) (such )?(user|mailbox|recipient|address|person)|not exist|not found", re.IGNORECASE),
    ),
    ("unwanted", re.compile(r"spam|block|black ?list|reputation|policy|spf|dkim|dmarc|unsolicited", re.IGNORECASE)),
    ("reach", re.compile(r"time[d ]?-?out|unreachable|no route|connect", re.IGNORECASE)),
)  # fmt: skip
_OF_BASIC = {"552": "full"}


def why(reason: str) -> str:
    """The sentence for what the other side said."""
    return _sentence(reason if reason in OURS else _kind(reason))


def their_words(reason: str) -> str:
    """What the other side said, for those who can make something of it; empty for words of ours and for a bare status."""
    return "" if reason in OURS or _STATUS.fullmatch(reason) else reason


def _kind(reason: str) -> str:
    status = _STATUS.search(reason)
    if status is not None:
        of_class, detail = str(int(status[1])), str(int(status[2]))
        known = _OF_STATUS.get(f"{of_class}.{detail}") or _OF_STATUS.get(of_class)
        if known is not None:
            return known
    for kind, pattern in _OF_WORDS:
        if pattern.search(reason):
            return kind
    basic = _BASIC.match(reason)
    return _OF_BASIC.get(basic[0], "") if basic is not None else ""


def _sentence(kind: str) -> str:
    known = {
        "expired": gettext("It could not be reached for five days."),
        "address": gettext("This is not a valid address."),
        "nobody": gettext("Nobody there has this name."),
        "suppressed": gettext("Letters to this address came back before. Whoever runs the server can allow it again."),
        "complaint": gettext("This person has marked a letter from you as unwanted."),
        "many-a-day": gettext("More letters were waiting than may leave for one person."),
        "fault": gettext("Something went wrong at the server."),
        "not-taken": gettext("The server could not read the letter."),
        "the letter is too long": gettext("The letter is too long."),
        "no-address": gettext("This address does not exist. Look at each letter of it."),
        "place": gettext("There is no such place: look at what stands behind the @."),
        "moved": gettext("This person has another address now."),
        "closed": gettext("This mailbox is closed."),
        "full": gettext("The mailbox there is full. Try again later."),
        "too-large": gettext("The letter is too large for them. Take fewer or smaller files."),
        "reach": gettext("Their server is out of reach."),
        "many": gettext("The letter went to too many people."),
        "content": gettext("They do not take letters with such content or files."),
        "unwanted": gettext("They refused it, perhaps because they took it for advertising."),
    }
    return known.get(kind) or gettext("They refused it.")
