"""Every component of the pages in every state, made of the pages' own templates: for whoever works on the looks (docs/looks.md).

Its headings are English, since its readers are; what is in the components is said in the language of the pages. It shows nothing of anybody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint

from lokole.mail.model import DeliveryState, EmailId, EmailNo, FolderName
from lokole.mailbox.lists import LetterRow
from lokole.webmail import assets
from lokole.webmail.access import signed_in
from lokole.webmail.cost import Price
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.pictures import picture_words

blueprint = Blueprint("design", __name__)

_PRICE = 120.0  # FC for a megabyte
_NIGHTS = (14, 31, 22, 44, 1, 18, 27, 35, 9, 50, 24, 16, 29, 38)


@blueprint.get("/design")
def components() -> str:
    """The one page."""
    values: dict[str, Any] = {
        "states": [state.value for state in DeliveryState],
        "icons": assets.icons(),
        "rows": _rows(),
        "chosen": 2,
        "price": Price(_PRICE),
        "pictures": picture_words(),
        "nights": [(n * 22, 62 - height, height) for n, height in enumerate(_NIGHTS)],
    }
    if signed_in() is None:
        return page("design.html", **values)
    with parts().ports.database.read() as tx:
        return page("design.html", tx, place="more", **values)


def _rows() -> list[LetterRow]:
    """Four lines of a list; who and what is in them is made up."""
    now = parts().ports.clock()
    plain = LetterRow(
        no=EmailNo(1),
        id=EmailId(b""),
        folder=FolderName.INBOX,
        sender_name="Mireille",
        sender_address="mireille@example.org",
        recipients_line="",
        subject="Calendrier",
        preview="Le calendrier de décembre est joint.",
        received_at=now,
        sent_at=now,
        sent_at_doubtful=False,
        read=True,
        starred=False,
        attachment_count=0,
        conversation="",
    )
    return [
        replace(plain, read=False, attachment_count=2),
        replace(plain, no=EmailNo(2), count=3),
        replace(
            plain, no=EmailNo(3), sender_name="علي", sender_address="ali@example.org", subject="رسالة", starred=True
        ),
        replace(plain, no=EmailNo(4)),
    ]
