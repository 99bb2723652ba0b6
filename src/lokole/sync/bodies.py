"""The records of version 2 as JSON objects, both ways (protocol 7.3 to 7.11).

Strict in what it writes; of what it reads, unknown keys are ignored, absent and null ones take their empty value, and a wrong type is a
:class:`BadPackage` whose reason holds nothing of the content. Files are not in here: they are frames of their own.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lokole.mail.errors import BadPackage
from lokole.mail.model import Attachment, DeliveryState, Email, EmailId
from lokole.sync import jsontext, version1
from lokole.sync.records import (
    FLAGS,
    MAX_HEALTH_BYTES,
    AccountRecord,
    AckRecord,
    AttachmentRecord,
    DigestRecord,
    EmailRecord,
    EntryState,
    FlagRecord,
    HealthRecord,
    PackageDigest,
    ReceiptRecord,
    RequestRecord,
    ToldRecord,
    Window,
)

MAX_NUMBER = 2**63 - 1
#: A lamport stays below this, so that whoever changes the flag next has numbers left.
MAX_LAMPORT = 2**62 - 1
#: An acknowledgement names at most so many beyond its seq, a digest so many packages and windows.
MAX_BEYOND, MAX_PACKAGES, MAX_WINDOWS = 1_000, 5_000, 8
#: A letter has at most so many files and so many people's entries.
MAX_FILES = 1_000
_MAX_NESTING = 20
_ID = re.compile(r"[0-9a-f]{32}")
_CHECK = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Fields = dict[str, Any]
SmallRecord = (
    AccountRecord | ReceiptRecord | FlagRecord | RequestRecord | HealthRecord | AckRecord | DigestRecord | ToldRecord
)


# --- letters -------------------------------------------------------------------------------------


def letter_fields(record: EmailRecord) -> Fields:
    """A letter without the contents of its files."""
    email = record.email
    fields: Fields = version1.email_fields(email, own_box=True)
    fields["_uid"] = record.uid
    fields["attachments"] = [_file_fields(one) for one in email.attachments]
    if email.sent_at is not None:
        fields["sent_at"] = write_time(email.sent_at)
    if email.sent_at_doubtful:
        fields["sent_at_doubtful"] = True
    if email.automatic:
        fields["automatic"] = True
    if record.entries:
        fields["entries"] = [entry_fields(one) for one in record.entries]
    if record.proven:
        fields["proven"] = True
    if record.posted is not None:
        fields["posted"] = write_time(record.posted)
    return fields


def entry_fields(entry: EntryState) -> Fields:
    """How a person has a letter; what is as usual is left out."""
    fields: Fields = {"account": entry.account, "folder": entry.folder}
    return fields | {name: True for name in ("read", "starred", "written") if getattr(entry, name)}


def apart_fields(record: AttachmentRecord) -> Fields:
    """A file that travels apart, without its content."""
    return _file_fields(record.attachment) | {"_uid": record.uid, "emails": list(record.email_uids)}


def _file_fields(attachment: Attachment) -> Fields:
    fields: Fields = {"filename": attachment.filename, "type": attachment.type}
    return fields if attachment.cid is None else fields | {"cid": attachment.cid}


def read_letter(fields: Fields) -> tuple[EmailRecord, list[Attachment]]:
    """The letter without its files, and the files without their contents."""
    head, notes = version1.read_head(fields)
    uid = version1.uid_of(fields)
    if not uid:
        raise BadPackage("the letter has no _uid")
    email = Email(**head)
    if _truth(fields, "sent_at_doubtful"):
        email = replace(email, sent_at_doubtful=True)
    if _truth(fields, "automatic"):
        email = replace(email, automatic=True)
    files = [_read_file(item, n) for n, item in enumerate(version1.attachment_list(fields), start=1)]
    entries = tuple(_read_entry(item) for item in _list(fields, "entries"))
    if max(len(files), len(entries)) > MAX_FILES:
        raise BadPackage("the letter has too many files or entries")
    posted = version1.read_moment(fields.get("posted"))[0]
    return EmailRecord(uid, email, tuple(notes), entries, proven=_truth(fields, "proven"), posted=posted), files


def read_apart(fields: Fields) -> tuple[str, Attachment, tuple[str, ...]]:
    """Name, file without its content, and letters of a file that travels apart."""
    uid = version1.uid_of(fields)
    if not uid:
        raise BadPackage("the file has no _uid")
    return uid, _read_file(fields, 1), version1.texts_of(fields, "emails")


def _read_file(item: object, n: int) -> Attachment:
    if not isinstance(item, dict):
        raise BadPackage("attachments holds something that is no object")
    return Attachment(
        filename=version1.text_of(item, "filename") or f"attachment-{n}",
        content=b"",
        type=version1.text_of(item, "type") or "application/octet-stream",
        cid=version1.text_of(item, "cid") or None,
    )


def _read_entry(item: object) -> EntryState:
    if not isinstance(item, dict):
        raise BadPackage("entries holds something that is no object")
    return EntryState(
        account=_needed(item, "account"),
        folder=version1.text_of(item, "folder") or "inbox",
        read=_truth(item, "read"),
        starred=_truth(item, "starred"),
        written=_truth(item, "written"),
    )


# --- the rest, written ---------------------------------------------------------------------------


def small_fields(record: SmallRecord) -> Fields:
    """Any record without files; raises ``ValueError`` when it is more than a package may say."""
    match record:
        case AccountRecord():
            fields: Fields = {"email": record.address, "version": record.version}
            further = {"password": record.password_hash, "language": record.language}
            return fields | {key: value for key, value in further.items() if value is not None}
        case ReceiptRecord():
            fields = {
                "email": record.email_id.hex(),
                "address": record.address,
                "state": str(record.state),
                "version": record.version,
            }
            fields |= {key: value for key in ("code", "reason") if (value := getattr(record, key))}
            fields |= {"print": record.print.hex()} if record.print else {}
            return fields if record.at is None else fields | {"at": write_time(record.at)}
        case FlagRecord():
            return {
                "email": record.email_id.hex(),
                "account": record.account,
                "flag": record.flag,
                "value": record.value,
                "lamport": record.lamport,
                "origin": record.origin,
            }
        case RequestRecord():
            return {"kind": record.kind, "key": record.key, "body": dict(record.body)}
        case HealthRecord():
            fields = dict(record.body)
            if len(jsontext.write(fields)) > MAX_HEALTH_BYTES:
                raise ValueError("a health record is at most 300 bytes")
            return fields
        case AckRecord():
            if len(record.beyond) > MAX_BEYOND:
                raise ValueError("an acknowledgement names at most 1000 beyond")
            fields = {"epoch": record.epoch, "seq": record.seq, "beyond": list(record.beyond)}
            return fields | ({"check": record.check.hex()} if record.check else {})
        case DigestRecord():
            if len(record.packages) > MAX_PACKAGES or len(record.windows) > MAX_WINDOWS:
                raise ValueError("a digest is of at most 5000 packages and 8 windows")
            return {
                "windows": [[one.direction, one.epoch, one.first, one.last] for one in record.windows],
                "count": record.count,
                "hash": base64.urlsafe_b64encode(record.hash).rstrip(b"=").decode("ascii"),
            } | ({"packages": [package_digest_fields(one) for one in record.packages]} if record.packages else {})
        case ToldRecord():
            fields = {"package": record.package, "record": record.record}
            return fields | {key: value for key in ("code", "reason") if (value := getattr(record, key))}


def package_digest_fields(one: PackageDigest) -> list[str | int]:
    """What one package carried, as protocol 4.13 writes it."""
    return [one.direction, one.epoch, one.seq, one.count, one.xor.hex(), one.name.hex()]


def write_time(moment: datetime) -> str:
    """An aware ``moment`` as protocol 7.1 has it: UTC, seconds only when they are not zero, no fractions."""
    utc = moment.astimezone(UTC)
    return version1.write_minute(utc) + (f":{utc.second:02}" if utc.second else "")


# --- the rest, read ------------------------------------------------------------------------------


def read_account(fields: Fields) -> AccountRecord:
    """A person; the same as a line of version 1."""
    return version1.read_account(fields)


def read_receipt(fields: Fields) -> ReceiptRecord:
    """What became of a letter."""
    try:
        state = DeliveryState(_needed(fields, "state"))
    except ValueError:
        raise BadPackage("state is not known") from None
    return ReceiptRecord(
        email_id=_email_id(fields),
        address=_needed(fields, "address"),
        state=state,
        version=_number(fields, "version"),
        code=version1.text_of(fields, "code"),
        reason=version1.text_of(fields, "reason"),
        at=version1.read_moment(fields.get("at"))[0],
        print=_print(fields),
    )


def _print(fields: Fields) -> bytes:
    text = version1.text_of(fields, "print")
    if text and not _CHECK.fullmatch(text):
        raise BadPackage("print is not 16 hexadecimal digits")
    return bytes.fromhex(text)


def read_flag(fields: Fields) -> FlagRecord:
    """A mark; its value has the type that its flag asks for."""
    flag = _needed(fields, "flag")
    if flag not in FLAGS:
        raise BadPackage("flag is not known")
    value = version1.text_of(fields, "value") if flag == "folder" else _truth(fields, "value")
    lamport = _number(fields, "lamport")
    if lamport > MAX_LAMPORT:
        raise BadPackage("lamport is not a number in its range")
    return FlagRecord(
        email_id=_email_id(fields),
        account=_needed(fields, "account"),
        flag=flag,
        value=value,
        lamport=lamport,
        origin=version1.text_of(fields, "origin"),
    )


def read_request(fields: Fields) -> RequestRecord:
    """Something asked; its body is an object of whatever the kind wants."""
    return RequestRecord(
        kind=_needed(fields, "kind"),
        key=version1.text_of(fields, "key"),
        body=_object(fields.get("body"), "body"),
    )


def read_health(fields: Fields) -> HealthRecord:
    """How the other end is."""
    if len(jsontext.write(body := _object(fields, "health"))) > MAX_HEALTH_BYTES:
        raise BadPackage("health is longer than it may be")
    return HealthRecord(body)


def read_ack(fields: Fields) -> AckRecord:
    """What the other end has taken."""
    beyond = _list(fields, "beyond")
    if len(beyond) > MAX_BEYOND:
        raise BadPackage("beyond names too many")
    return AckRecord(
        epoch=_number(fields, "epoch", needed=True),
        seq=_number(fields, "seq"),
        beyond=tuple(_as_number(one, "beyond") for one in beyond),
        check=read_check(fields),
    )


def read_check(fields: Fields) -> bytes:
    """``check`` of an acknowledgement, 8 bytes, or empty when it is absent; raises :class:`BadPackage`."""
    text = version1.text_of(fields, "check")
    if text and not _CHECK.fullmatch(text):
        raise BadPackage("check is not 16 hexadecimal digits")
    return bytes.fromhex(text)


def read_digest(fields: Fields) -> DigestRecord:
    """What the other end holds."""
    windows, packages = _list(fields, "windows"), _list(fields, "packages")
    if len(windows) > MAX_WINDOWS or len(packages) > MAX_PACKAGES:
        raise BadPackage("the digest is of too many packages")
    return DigestRecord(
        windows=tuple(_read_window(item) for item in windows),
        count=_number(fields, "count"),
        hash=read_hash(version1.text_of(fields, "hash")),
        packages=tuple(read_package_digest(item) for item in packages),
    )


def read_hash(text: str) -> bytes:
    """16 bytes of base64url; raises :class:`BadPackage`."""
    try:
        decoded = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadPackage("hash is not base64url") from None
    if len(decoded) != 16 or len(text) != 22 or base64.urlsafe_b64encode(decoded)[:22] != text.encode():
        raise BadPackage("hash is not 16 bytes")
    return decoded


def _read_window(item: object) -> Window:
    if not isinstance(item, list) or len(item) != 4:
        raise BadPackage("windows holds something that is no window")
    epoch, first, last = (_as_number(one, "windows") for one in item[1:])
    if first < 1 or last < first - 1:
        raise BadPackage("windows holds something that is no window")
    return Window(_direction(item[0]), epoch, first, last)


def read_package_digest(item: object) -> PackageDigest:
    """What one package carried, as protocol 4.13 writes it; raises :class:`BadPackage`."""
    if (
        not isinstance(item, list)
        or len(item) not in (5, 6)
        or not all(isinstance(text, str) for text in item[4:])
        or not _ID.fullmatch(item[4])
        or not all(_CHECK.fullmatch(text) for text in item[5:])
    ):
        raise BadPackage("packages holds something that is no digest")
    epoch, seq, count = (_as_number(one, "packages") for one in item[1:4])
    if count >= 2**32 or seq < 1:
        raise BadPackage("packages holds something that is no digest")
    name = bytes.fromhex(item[5]) if len(item) == 6 else bytes(8)
    return PackageDigest(_direction(item[0]), epoch, seq, count, bytes.fromhex(item[4]), name)


def read_told(fields: Fields) -> ToldRecord:
    """What the other end could not take."""
    package = _needed(fields, "package")
    if not _SHA256.fullmatch(package):
        raise BadPackage("package is not a digest")
    return ToldRecord(
        package=package,
        record=_number(fields, "record"),
        code=version1.text_of(fields, "code"),
        reason=version1.text_of(fields, "reason"),
    )


# --- values --------------------------------------------------------------------------------------


def _needed(fields: Fields, key: str) -> str:
    value = version1.text_of(fields, key)
    if not value:
        raise BadPackage(f"{key} is missing")
    return value


def _email_id(fields: Fields) -> EmailId:
    value = _needed(fields, "email")
    if not _ID.fullmatch(value):
        raise BadPackage("email is not the id of a letter")
    return EmailId(bytes.fromhex(value))


def _number(fields: Fields, key: str, *, needed: bool = False) -> int:
    value = fields.get(key)
    return 0 if value is None and not needed else _as_number(value, key)


def _as_number(value: object, key: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise BadPackage(f"{key} is not a number in its range")
    return value


def _truth(fields: Fields, key: str) -> bool:
    value = fields.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadPackage(f"{key} is neither true nor false")
    return bool(value)


def _list(fields: Fields, key: str) -> list[Any]:
    value = fields.get(key)
    if value is not None and not isinstance(value, list):
        raise BadPackage(f"{key} is not a list")
    return value or []


def _direction(value: object) -> str:
    if value not in ("up", "down"):
        raise BadPackage("a direction is neither up nor down")
    return str(value)


def _object(value: object, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadPackage(f"{key} is not an object")
    fitted = _fit(value, 0)
    return fitted if isinstance(fitted, dict) else {}


def _fit(value: object, depth: int) -> object:
    """What every store can hold, of an object whose shape is not known here."""
    if depth > _MAX_NESTING:
        raise BadPackage("it is nested too deeply")
    match value:
        case str():
            return jsontext.fit_text(value)
        case dict():
            return {jsontext.fit_text(key): _fit(item, depth + 1) for key, item in value.items()}
        case list():
            return [_fit(item, depth + 1) for item in value]
        case float() if not math.isfinite(value):
            raise BadPackage("it holds a number that is none")
        case _:
            return value
