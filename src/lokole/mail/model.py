"""The words of mail, as frozen values; ``docs/glossary.md`` is the same list.

Nothing here reads or writes anything.
An :class:`Email` is never changed in place: use :func:`dataclasses.replace`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from lokole.mail.errors import Refused

#: 16 bytes; how they are made stands in ``lokole.sync.ids``.
EmailId = NewType("EmailId", bytes)
#: what the wire calls ``client_id``: a UUID as text.
DeviceId = NewType("DeviceId", str)
#: the row number of a tenant in the database it lives in.
TenantNo = NewType("TenantNo", int)
#: the row number of an account in the database it lives in.
AccountNo = NewType("AccountNo", int)
#: ``email.order_no``: the sequence by which lists sort.
EmailNo = NewType("EmailNo", int)
#: lower-case hex SHA-256 of a package's bytes.
PackageRef = NewType("PackageRef", str)

_LOCAL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A valid e-mail address (RFC 5321 section 4.1.2, dot-string local part, RFC 6531 letters allowed).

    The domain is lower-case ASCII (IDNA); the local part keeps its case for showing,
    and ``key`` is what addresses are compared by.
    """

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``text`` such as ``Bob@A.Lokole.CA``; raises :class:`Refused` with code ``address``."""
        cleaned = text.strip().removeprefix("<").removesuffix(">").strip()
        local, at, domain = cleaned.rpartition("@")
        if not at:
            raise Refused("an address needs an @", code="address")
        domain = normal_domain(domain)
        if len(local) > 64 or len(local.encode("utf-8", "surrogatepass")) > 64 * 4 or not _LOCAL.fullmatch(local):
            raise Refused("the part before the @ is not valid", code="address")
        return cls(local, domain)

    @property
    def key(self) -> str:
        """The text by which two addresses are the same (case does not count)."""
        return f"{self.local.casefold()}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def normal_domain(text: str) -> str:
    """A domain as lower-case ASCII without a trailing dot; raises :class:`Refused` with code ``address``."""
    domain = text.strip().rstrip(".").lower()
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise Refused("the part after the @ is not valid", code="address") from error
    labels = domain.split(".")
    if len(domain) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("the part after the @ is not valid", code="address")
    return domain


@dataclass(frozen=True, slots=True)
class Contact:
    """A correspondent as a header names them: ``address`` is text as received and may be empty or invalid."""

    address: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a letter; ``cid`` is the Content-ID without angle brackets (RFC 2392) when the markup shows it."""

    filename: str
    content: bytes
    type: str = "application/octet-stream"
    cid: str | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """One message. Dates are aware and in UTC; ``body`` is HTML, already safe only if it went through ``mail.html``.

    ``bcc`` is known to the writer's side only.
    ``recipients`` are envelope recipients (RFC 5321): who gets it here, whatever the headers say; empty means "as to, cc and bcc say".
    ``automatic`` says that a machine or a list wrote it (RFC 3834): nothing answers it by itself.
    ``id`` is None until a mailbox has given it one.
    """

    sender: Contact
    to: tuple[Contact, ...] = ()
    cc: tuple[Contact, ...] = ()
    bcc: tuple[Contact, ...] = ()
    reply_to: tuple[Contact, ...] = ()
    subject: str = ""
    body: str = ""
    attachments: tuple[Attachment, ...] = ()
    sent_at: datetime | None = None
    sent_at_doubtful: bool = False
    message_id: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    recipients: tuple[Address, ...] = ()
    automatic: bool = False
    id: EmailId | None = None


class FolderName(StrEnum):
    """The folders everybody has; a person's own are rows of ``folder``. The outbox is a view, not a folder."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    ARCHIVE = "archive"


class DeliveryState(StrEnum):
    """Where a letter is for one recipient, in the order in which it gets there."""

    WAITING = "waiting"  # in the outbox of the box, leaves with the next package
    AT_SERVER = "at_server"  # the server has it for good
    ACCEPTED = "accepted"  # the recipient's server took it (or it was put into a mailbox here)
    REFUSED = "refused"  # it will not arrive; the reason stands beside
    LOCAL = "local"  # delivered on this box without the internet


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one recipient of a written letter stands."""

    address: str
    role: str  # to, cc or bcc
    state: DeliveryState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A person on a device. ``name`` is the local part of the address, lower case."""

    no: AccountNo
    tenant: TenantNo
    name: str
    domain: str
    language: str = "en"
    time_zone: str = "UTC"
    is_admin: bool = False
    suspended: bool = False
    must_change_password: bool = False
    roaming: bool = False
    last_login_at: datetime | None = None
    display_name: str = ""  # as the person writes their own name; may be empty
    removed: bool = False  # has left for good; only the other end is still to be told

    @property
    def address(self) -> Address:
        return Address(self.name, self.domain)

    @property
    def contact(self) -> Contact:
        """As this person stands on their letters."""
        return Contact(str(self.address), self.display_name)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one meeting of device and server moved; bytes are on the wire without TLS, ``seconds`` by the injected clock."""

    started: datetime
    seconds: float = 0.0
    letters_up: int = 0
    letters_down: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    quarantined: int = 0
    waiting: int = 0
    result: str = "ok"
    detail: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """How a picture is made smaller: longest side in pixels, and "webp", "jpeg" or "keep"."""

    longest_side: int = 640
    format: str = "webp"
