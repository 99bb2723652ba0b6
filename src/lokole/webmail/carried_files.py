"""Files that a form carries from one round to the next.

They are stored at once and named in the form by a signed token, so that the next round need not send them again, and a form
that is refused loses none; a token counts for the person it was made for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.datastructures import FileStorage

from lokole.mail.errors import Refused
from lokole.mail.filenames import safe_filename
from lokole.mail.model import Account, Attachment, Contact, Email
from lokole.mail.slim import slim_email
from lokole.mailbox import letters
from lokole.mailbox.letters import StoredAttachment
from lokole.webmail.parts import parts
from lokole.webmail.photos import SMALL, limits_of

_SALT = "file of a letter"


@dataclass(frozen=True, slots=True)
class NewFiles:
    """The files of one round; when ``too_large`` or ``too_many`` of all rounds together, none is taken."""

    found: tuple[Attachment, ...] = ()
    too_large: bool = False
    too_many: bool = False


def token(file: StoredAttachment, person: Account) -> str:
    """Names a stored file in a form of ``person``."""
    return str(signer(_SALT).dumps([int(person.no), file.filename, file.type, file.cid, file.sha256, file.size]))


def named(person: Account, most: int) -> list[StoredAttachment]:
    """The files that the submitted form names, ``most`` of them; raises Refused for one that is not ours or not theirs."""
    return [_file_of(one, person) for one in request.form.getlist("file")[:most]]


def brought(had: list[StoredAttachment], text_bytes: int, most: int) -> NewFiles:
    """What this round brought besides the files it ``had``; all of it, with the text, is bounded by what an upload may weigh."""
    found: list[Attachment] = []
    left = parts().settings.max_upload_bytes - sum(file.size for file in had) - text_bytes
    for upload in request.files.getlist("files"):
        if not upload.filename:
            continue
        if len(found) + len(had) >= most:
            return NewFiles(too_many=True)
        content = upload.stream.read(max(left, 0) + 1)
        left -= len(content)
        if left < 0:
            return NewFiles(too_large=True)
        found.append(Attachment(safe_filename(upload.filename), content, _type(upload)))
    return NewFiles(tuple(found), too_large=left < 0)


def store(person: Account, files: tuple[Attachment, ...], photo: str = SMALL) -> list[StoredAttachment]:
    """Make pictures as small as ``photo`` says and keep all files; what cannot be opened is kept as it is. Raises Temporary when there is no room."""
    if not files:
        return []
    ports, limits = parts().ports, limits_of(photo, parts().settings.pictures)
    if limits is not None:
        files = slim_email(Email(Contact(""), attachments=files), ports.shrink, limits).attachments
    return letters.put_attachments(ports.blobs, person.domain, files)


def signer(salt: str) -> URLSafeSerializer:
    """Signs what a form carries; ``salt`` says what it is, so that one kind is never taken for another."""
    return URLSafeSerializer(parts().settings.session_key, salt=salt)


def _file_of(text: str, person: Account) -> StoredAttachment:
    try:
        owner_no, filename, type_, cid, sha256, size = signer(_SALT).loads(text)
    except (BadSignature, ValueError, TypeError) as error:
        raise Refused("a file of the form is not ours", code="file") from error
    if owner_no != person.no:
        raise Refused("a file of the form is not yours", code="file")
    return StoredAttachment(filename=filename, type=type_, cid=cid, sha256=sha256, size=size)


def _type(upload: FileStorage) -> str:
    kind = (upload.mimetype or "").lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", kind) else "application/octet-stream"
