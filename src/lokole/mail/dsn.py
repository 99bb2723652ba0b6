"""Delivery status notifications: what a mail server says became of a letter (RFC 3464).

Only the fields that decide are read; what the notification says to people, and the letter that it may carry, are left alone.
"""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import Message

_ACTIONS = frozenset(("failed", "delayed", "delivered", "relayed", "expanded"))
_STATUS = re.compile(r"([245])\.\d{1,3}\.\d{1,3}")
_MAX_REASON = 300
_WORST_FIRST = ("failed", "delayed", "delivered", "relayed", "expanded")


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What is said of one recipient: ``action`` as RFC 3464 section 2.3.3 has it, ``status`` as RFC 3463, ``reason`` in the other server's words."""

    action: str
    status: str
    reason: str
    recipient: str


def read_delivery_status(raw: bytes, recipient: str) -> DeliveryStatus | None:
    """What the notification ``raw`` says of ``recipient``, or of its one or worst recipient when none has that address.

    None when it is no such notification, whatever the bytes; raises nothing.
    """
    try:
        found = _statuses(email.message_from_bytes(raw, policy=email.policy.compat32))
    except Exception:
        # the parser of the standard library has its limits with hostile headers; then it says nothing
        return None
    wanted = [one for one in found if one.recipient.casefold() == recipient.casefold()] or found
    return min(wanted, key=lambda one: _WORST_FIRST.index(one.action), default=None)


def _statuses(message: Message) -> list[DeliveryStatus]:
    found = []
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        if not isinstance(blocks, list):
            continue
        for block in blocks[:100]:
            status = _status(block) if isinstance(block, Message) else None
            if status is not None:
                found.append(status)
    return found


def _status(block: Message) -> DeliveryStatus | None:
    action = str(block.get("Action", "")).strip().partition(" ")[0].lower()
    match = _STATUS.search(str(block.get("Status", "")))
    status = match[0] if match else ""
    if action not in _ACTIONS:
        # RFC 3463 section 3.1: the first digit says as much
        action = {"5": "failed", "4": "delayed", "2": "delivered"}.get(status[:1], "")
        if not action:
            return None
    address = str(block.get("Original-Recipient", "") or block.get("Final-Recipient", ""))
    said = str(block.get("Diagnostic-Code", ""))
    return DeliveryStatus(
        action,
        status,
        " ".join(said.partition(";")[2].split() or said.split())[:_MAX_REASON],
        address.partition(";")[2].strip(),
    )
