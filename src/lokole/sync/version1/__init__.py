"""Version 1 of the exchange format: one record as one line of JSON, as the first Lokole has it (protocol 2).

``emails.jsonl``: ``_uid``, ``sent_at`` ("yyyy-mm-dd HH:MM", UTC), ``to``, ``cc``, ``bcc``, ``from``, ``subject``, ``body`` (HTML),
``attachments`` of ``filename``, ``content`` (base64) and ``cid``.
``zattachments.jsonl``: ``_uid``, ``filename``, ``content``, ``cid``, ``emails`` (uids).
``zzusers.jsonl``: ``email``, ``password`` (bcrypt).
Between boxes and servers of our own (``own_box``) a letter may carry ``message_id``, ``in_reply_to``, ``references``, ``reply_to``,
``names`` (address to display name) and ``recipients`` (envelope), an attachment ``type``, an account ``language`` and ``version``.

The writer is exact, because boxes in the field lose a whole package to one null; the reader forgives what any of them sends.
"""

from __future__ import annotations

from lokole.sync.version1.read import (
    ACCOUNTS,
    ATTACHMENTS,
    EMAILS,
    attachment_list,
    read_account,
    read_account_line,
    read_attachment,
    read_attachment_line,
    read_email,
    read_email_line,
    read_head,
    read_line,
    read_moment,
    text_of,
    texts_of,
    uid_of,
)
from lokole.sync.version1.write import (
    NO_DATE,
    attachment_line_pieces,
    email_fields,
    email_line_pieces,
    what_does_not_fit,
    write_account_line,
    write_email_line,
    write_minute,
)

__all__ = [
    "ACCOUNTS",
    "ATTACHMENTS",
    "EMAILS",
    "NO_DATE",
    "attachment_line_pieces",
    "attachment_list",
    "email_fields",
    "email_line_pieces",
    "read_account",
    "read_account_line",
    "read_attachment",
    "read_attachment_line",
    "read_email",
    "read_email_line",
    "read_head",
    "read_line",
    "read_moment",
    "text_of",
    "texts_of",
    "uid_of",
    "what_does_not_fit",
    "write_account_line",
    "write_email_line",
    "write_minute",
]
