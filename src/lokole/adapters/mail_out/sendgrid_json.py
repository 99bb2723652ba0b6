"""A message of ours as SendGrid's ``mail/send`` wants it: MIME taken apart into JSON.

What does not go through: Date (SendGrid writes its own), header fields other than those in ``_KEPT``, and files without a byte,
which the API refuses. Its own counting of clicks and openings is switched off: it would change every link and add a picture.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

from lokole.mail.errors import Permanent
from lokole.ports.mail_out import ENVELOPE_ARGUMENT, Recipient

_KEPT = ("Message-ID", "In-Reply-To", "References", "Auto-Submitted")
_POLICY = policy.default.clone(refold_source="none")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")


def mail_send_fields(message: bytes, recipients: Sequence[Recipient], *, envelope: str) -> dict[str, Any]:
    """The body of the request; raises Permanent when the message has no sender that SendGrid could write."""
    read = message_from_bytes(message, _class=EmailMessage, policy=_POLICY)
    senders = _mailboxes(read, "From")
    if not senders:
        raise Permanent("the sender cannot be written", reason="address")
    fields: dict[str, Any] = {
        "personalizations": _personalizations(read, recipients, envelope),
        "from": senders[0],
        "subject": _one_line(str(read["Subject"] or "")) or "…",  # SendGrid wants a subject
        "content": [],
        "headers": {name: _one_line(str(read[name])) for name in _KEPT if read[name]},
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    replies = _mailboxes(read, "Reply-To")
    if len(replies) == 1:
        fields["reply_to"] = replies[0]
    elif replies:
        fields["reply_to_list"] = replies
    files = []
    for part in _leaves(read):
        kind = part.get_content_type()
        if part.get_content_disposition() is None and kind in ("text/plain", "text/html"):
            text = _bytes_of(part).decode("utf-8", "replace").replace("\r\n", "\n")
            if text.strip():
                fields["content"].append({"type": kind, "value": text})
        elif content := _bytes_of(part):
            files.append(_file(part, kind, content))
    if not fields["content"]:
        fields["content"].append({"type": "text/plain", "value": "\n"})
    if files:
        fields["attachments"] = files
    return fields


def _personalizations(read: EmailMessage, recipients: Sequence[Recipient], envelope: str) -> list[dict[str, Any]]:
    """One copy whose To and Cc are those of ``recipients``; those in Bcc only, when nobody else is there, one each."""
    names = {one["email"].casefold(): one for header in ("To", "Cc") for one in _mailboxes(read, header)}
    by_role: dict[str, list[dict[str, str]]] = {"to": [], "cc": [], "bcc": []}
    for one in recipients:
        named = {} if one.role == "bcc" else names.get(one.address.casefold(), {})
        by_role[one.role if one.role in by_role else "bcc"].append({**named, "email": one.address})
    to, cc, bcc = by_role["to"], by_role["cc"], by_role["bcc"]
    if not to:  # SendGrid wants somebody in To
        to, cc = cc, []
    if to:
        copies: list[dict[str, Any]] = [{"to": to} | ({"cc": cc} if cc else {}) | ({"bcc": bcc} if bcc else {})]
    else:
        copies = [{"to": [one]} for one in bcc]
    if envelope:
        for copy in copies:
            copy["custom_args"] = {ENVELOPE_ARGUMENT: envelope}
    return copies


def _mailboxes(read: EmailMessage, header: str) -> list[dict[str, str]]:
    found = []
    fields: list[Any] = read.get_all(header, [])
    for one in (mailbox for field in fields for mailbox in field.addresses):
        if one.domain and one.addr_spec.isascii():
            name = _one_line(one.display_name)
            found.append({"email": one.addr_spec} | ({"name": name} if name else {}))
    return found


def _leaves(part: Message) -> Iterator[Message]:
    """What is no container; a letter that is attached is one file."""
    if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), list):
        for inner in part.get_payload():
            if isinstance(inner, Message):
                yield from _leaves(inner)
    else:
        yield part


def _bytes_of(part: Message) -> bytes:
    inner = part.get_payload()
    if isinstance(inner, list):  # message/rfc822 as it is
        return b"".join(one.as_bytes(policy=_POLICY.clone(linesep="\r\n")) for one in inner if isinstance(one, Message))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _file(part: Message, kind: str, content: bytes) -> dict[str, str]:
    file = {
        "content": base64.b64encode(content).decode("ascii"),
        "filename": _one_line(part.get_filename() or "") or "file",
        "disposition": "inline" if part.get_content_disposition() == "inline" else "attachment",
    }
    if _TYPE.fullmatch(kind):
        file["type"] = kind
    cid = str(part["Content-ID"] or "").strip().removeprefix("<").removesuffix(">")
    if cid:
        file["content_id"] = cid
    return file


def _one_line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", text).split())
