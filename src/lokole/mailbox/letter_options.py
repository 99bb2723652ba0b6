"""What a person has set for their letters: the signature, and the answer that goes out while they are away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select

from lokole.mail.model import Account
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.schema import answered, letter_option
from lokole.mailbox.upsert import insert_or_update
from lokole.mailbox.words import storable

#: how long somebody who had the answer gets no other one (RFC 3834 section 2)
AGAIN_AFTER = timedelta(days=7)
MAX_CHARS = 2000

_SET = insert_or_update(
    letter_option,
    ["account"],
    ", ".join(
        f"{name} = excluded.{name}" for name in ("signature", "answer", "answer_text", "answer_from", "answer_until")
    ),
)
_ANSWERED = insert_or_update(answered, ["account", "address"], "at = excluded.at")


@dataclass(frozen=True, slots=True)
class LetterOptions:
    """``answer`` is on from day ``answer_from`` to day ``answer_until``, both included; None is without such an end."""

    signature: str = ""
    answer: bool = False
    answer_text: str = ""
    answer_from: date | None = None
    answer_until: date | None = None

    def answers_on(self, day: date) -> bool:
        """Whether letters that come on ``day`` are answered."""
        return (
            self.answer
            and bool(self.answer_text.strip())
            and (self.answer_from is None or self.answer_from <= day)
            and (self.answer_until is None or day <= self.answer_until)
        )


def get_options(tx: Connection, person: Account) -> LetterOptions:
    """What the person has set, or the defaults."""
    mine = letter_option.c.tenant == person.tenant, letter_option.c.account == person.no
    row = tx.execute(select(letter_option).where(*mine)).first()
    if row is None:
        return LetterOptions()
    return LetterOptions(
        row.signature, bool(row.answer), row.answer_text, _day(row.answer_from), _day(row.answer_until)
    )


def set_options(tx: Connection, person: Account, options: LetterOptions) -> None:
    """Keep them. With the answer off, everybody may get it anew the next time."""
    values = {
        "tenant": int(person.tenant),
        "account": int(person.no),
        "signature": storable(options.signature[:MAX_CHARS]),
        "answer": options.answer,
        "answer_text": storable(options.answer_text[:MAX_CHARS]),
        "answer_from": options.answer_from.isoformat() if options.answer_from else "",
        "answer_until": options.answer_until.isoformat() if options.answer_until else "",
    }
    _SET.run(tx, values)
    if not options.answer:
        tx.execute(delete(answered).where(answered.c.tenant == person.tenant, answered.c.account == person.no))


def may_answer(tx: Connection, person: Account, address: str, now: datetime) -> bool:
    """Whether ``address`` has not had the answer for a week; True notes that it gets it now.

    A clock that jumped back may not silence it for ever: what was noted in the future counts from now on.
    """
    moment = to_micros(now)
    mine = answered.c.tenant == person.tenant, answered.c.account == person.no, answered.c.address == address
    at = tx.execute(select(answered.c.at).where(*mine)).scalar()
    due = at is None or moment - at >= AGAIN_AFTER // timedelta(microseconds=1)
    if due or (at is not None and at > moment):
        _ANSWERED.run(tx, {"tenant": int(person.tenant), "account": int(person.no), "address": address, "at": moment})
    return due


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None
