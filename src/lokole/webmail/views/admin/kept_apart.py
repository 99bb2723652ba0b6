"""What could not be read: shown with its reason, its bytes for whoever can read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from flask import Response, abort, flash, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mailbox import quarantine
from lokole.webmail import access
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.words import gettext, mark

_CHUNK = 65_536
#: what people read for each kind of thing that was kept apart; the reason beside it is for those who look after the server
WHAT = {
    "package": mark("A package could not be opened."),
    "record": mark("A part of a package could not be read."),
    "mime": mark("A letter could not be read."),
    "webhook": mark("A letter could not be read."),
    "dead-letter": mark("A letter is for nobody here."),
    "unknown": mark("Something came that this version of Lokole does not know."),
    "told": mark("The other end could not read something of this one."),
    "twin": mark("Two things came under one name: a box was restored or copied."),
    "restored": mark("The server was restored from a backup."),
}
_SOMETHING = mark("Something could not be read.")


@blueprint.get("/admin/quarantine")
def kept_apart() -> str:
    """What could not be read, with its reason; its letters' neighbours arrived."""
    person = access.account()
    with parts().ports.database.read() as tx:
        rows = quarantine.list_quarantine(tx, person.tenant, limit=100, resolved_too=True)
        return page(
            "quarantine.html", tx, place="more", rows=[(row, gettext(WHAT.get(row.kind, _SOMETHING))) for row in rows]
        )


@blueprint.post("/admin/quarantine/<int:no>/raw")
def raw(no: int) -> Response:
    """Its bytes as they came, to be kept as a file and never shown: nobody knows what they are.

    It may be somebody's letter, so who takes it is written down: that is why a button asks for it, and no link.
    """
    ports, person = parts().ports, access.account()
    with ports.database.write() as tx:
        found = quarantine.get_quarantined(tx, person.tenant, no)
        if found.raw_ref is None or not found.raw_ref.startswith(f"{person.domain}/"):
            abort(404)
        content = ports.blobs.open(found.raw_ref)
        note(tx, "took-apart", str(no), found.kind)
    answer = Response(_pieces(content), mimetype="application/octet-stream")
    name = re.sub(r"[^a-z0-9-]", "", found.kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="kept-apart-{name}-{found.no}.bin"'
    answer.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return answer


@blueprint.post("/admin/quarantine/<int:no>/resolve")
def resolve(no: int) -> AnyResponse:
    """Seen: it no longer counts; its bytes stay."""
    ports, person = parts().ports, access.account()
    with ports.database.write() as tx:
        quarantine.resolve(tx, person.tenant, no, ports.clock())
        note(tx, "seen-apart", str(no))
    flash("resolved")
    return redirect(url_for("admin.kept_apart"), 303)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_CHUNK):
            yield piece
