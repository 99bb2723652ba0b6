"""Files that a form carries from one round to the next.

They are stored at once and named in the form by a signed token, so that the next round need not send them again, and a form
that is refused loses none; a token counts for the person it was made for.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from flask import request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.datastructures import FileStorage

from lokole.mail.errors import Refused
from lokole.mail.filenames import safe_filename
from lokole.mail.model import Account, Attachment, Contact, Email, PictureLimits
from lokole.mail.slim import SIGNATURE_BYTES, may_shrink, slim_email
from lokole.mailbox import attachments
from lokole.mailbox.attachments import StoredAttachment
from lokole.webmail.parts import parts
from lokole.webmail.photos import SMALL, limits_of

_SALT = "file of a letter"
#: a photo as it came may be as large as a request: a small box has memory for one of them, whoever else sends some
_one_at_a_time = threading.Lock()


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


def brought(had: list[StoredAttachment], text_bytes: int, most: int, photo: str = SMALL) -> NewFiles:
    """What this round brought besides the files it ``had``, pictures as small as ``photo`` says; what cannot be opened stays as it is.

    All of it, with the text, is bounded by what an upload may weigh: a picture counts as small as it became, before that only
    as a part of the request. One of them at a time is in memory as it came; whatever else the requests hold lies on the disk.
    """
    uploads = [one for one in request.files.getlist("files") if one.filename]
    if len(uploads) + len(had) > most:
        return NewFiles(too_many=True)
    found: list[Attachment] = []
    left = parts().settings.max_upload_bytes - sum(file.size for file in had) - text_bytes
    limits = limits_of(photo, parts().settings.pictures)
    for upload in uploads:
        file = _slim(upload, limits) if limits is not None else None
        file = file or _as_it_came(upload, left)
        left -= len(file.content)
        if left < 0:
            return NewFiles(too_large=True)
        found.append(file)
    return NewFiles(tuple(found), too_large=left < 0)


def store(person: Account, files: tuple[Attachment, ...]) -> list[StoredAttachment]:
    """Keep files. Raises Temporary when there is no room."""
    return attachments.put_attachments(parts().ports.blobs, person.domain, files) if files else []


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


def _slim(upload: FileStorage, limits: PictureLimits) -> Attachment | None:
    """A picture made smaller; None, and nothing read, for what is none."""
    head = upload.stream.read(SIGNATURE_BYTES)
    upload.stream.seek(0)
    if not may_shrink(head):
        return None
    with _one_at_a_time:
        file = Attachment(safe_filename(upload.filename or ""), upload.stream.read(), _type(upload))
        return slim_email(Email(Contact(""), attachments=(file,)), parts().ports.shrink, limits).attachments[0]


def _as_it_came(upload: FileStorage, left: int) -> Attachment:
    """The file, read no further than one byte beyond what is ``left`` for it."""
    return Attachment(safe_filename(upload.filename or ""), upload.stream.read(max(left, 0) + 1), _type(upload))


def _type(upload: FileStorage) -> str:
    kind = (upload.mimetype or "").lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", kind) else "application/octet-stream"
