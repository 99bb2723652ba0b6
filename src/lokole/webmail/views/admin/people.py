"""The people of the box, looked after: finding somebody, a new one, a whole list of them.

A one-time password is shown once, on the answer to its form, and kept nowhere: who lost it makes another one,
and for a list the answer offers that in one step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, make_response, request, url_for

from lokole.mail.errors import Refused
from lokole.mail.model import Account
from lokole.mailbox import accounts, passwords, slips
from lokole.mailbox.database import Connection
from lokole.webmail import access, language, roll
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.refusals import why_not_this_name
from lokole.webmail.views.admin.desk import blueprint, note
from lokole.webmail.views.slip import slip_page, slip_paper
from lokole.webmail.welcome import welcome
from lokole.webmail.words import gettext

_MAX_LIST_BYTES = 200_000
#: of two lists: the wrong lines of the first one make a second
_MOST_SLIPS = 2 * roll.MOST_LINES


@blueprint.get("/admin/people")
def people() -> str:
    """Everybody, or whoever has the words in a name, by name."""
    person, settings = access.account(), parts().settings
    words = " ".join(request.args.get("query", "")[:100].split())
    start = max(0, request.args.get("start", type=row_number) or 0)
    size = settings.rows_per_page
    with parts().ports.database.read() as tx:
        rows, total = accounts.some_accounts(tx, person.tenant, words=words, offset=start, limit=size)

        def beside(at: int) -> str:
            return url_for("admin.people", query=words or None, start=at)

        return page(
            "admin_people.html",
            tx,
            place="more",
            people=rows,
            query=words,
            range_line=gettext("%(first)s–%(last)s of %(total)s", first=start + 1, last=start + len(rows), total=total),
            before=beside(max(0, start - size)) if start else None,
            after=beside(start + size) if start + size < total else None,
        )


@blueprint.route("/admin/people/new", methods=["GET", "POST"])
def new_person() -> str | Response | tuple[str, int]:
    """One new person, with a slip for the first sign-in."""
    if request.method == "GET":
        return _new_page()
    ports, here = parts().ports, access.account()
    entry = roll.Entry(
        request.form.get("name", "")[:320].strip().partition("@")[0],
        request.form.get("display_name", "")[:200],
        request.form.get("language", ""),
    )
    secret = slips.one_time_password(ports.entropy)
    hashed = passwords.hash_password(secret)
    try:
        with ports.database.write() as tx:
            made = _make(tx, here, entry, hashed)
    except Refused as error:
        with ports.database.read() as tx:
            again = _on_a_slip(tx, here, [entry.name]) if error.code == "taken" else {}
        return _new_page(_nobody_came() if again else why_not_this_name(error), next(iter(again.values()), None)), 400
    with ports.database.read() as tx:
        return _no_copy(slip_page(tx, made, secret))


@blueprint.route("/admin/people/list", methods=["GET", "POST"])
def import_list() -> str | Response | tuple[str, int]:
    """Many new people: typed, pasted or as a file; every line is answered."""
    ports, here = parts().ports, access.account()
    if request.method == "GET":
        return _list_page()
    typed = request.form.get("lines", "")
    upload = request.files.get("file")
    content = upload.stream.read(_MAX_LIST_BYTES + 1) if upload is not None and upload.filename else b""
    if not roll.is_text(content):
        return _list_page(gettext("This file is not a list. Choose one that a spreadsheet has written as CSV.")), 400
    if len(content) + len(typed.encode()) > _MAX_LIST_BYTES:
        return _list_page(gettext("The list is too long. Take it in parts.")), 413
    lines = roll.read("\n".join(text for text in (typed, roll.decoded(content)) if text.strip()))
    people = [line for line in lines if not line.is_heading]
    if not people:
        return _list_page(gettext("There is no line in the list. Write one person on each line.")), 400
    if len(people) > roll.MOST_LINES:
        return _list_page(gettext("Take at most %(n)s people at a time.", n=roll.MOST_LINES)), 413
    # hashed before the transaction begins: nobody waits for it
    secrets = {line.n: slips.one_time_password(ports.entropy) for line in people if line.entry is not None}
    hashes = {n: passwords.hash_password(secret, passwords.MIN_COST) for n, secret in secrets.items()}
    answers: list[tuple[roll.Line, str, str]] = []
    made: list[tuple[Account, str]] = []
    with ports.database.write() as tx:
        # those of the answer before: whoever has put its wrong lines right may have lost their slips
        waiting = _on_a_slip(tx, here, request.form.getlist("before"))
        for line in lines:
            if line.is_heading:
                answers.append((line, "heading", gettext("This is the heading. It makes nobody.")))
                continue
            if line.entry is None:
                answers.append((line, "wrong", gettext("A line has a name, a full name and a language.")))
                continue
            try:
                with tx.begin_nested():
                    made.append((_make(tx, here, line.entry, hashes[line.n]), secrets[line.n]))
            except Refused as error:
                again = _on_a_slip(tx, here, [line.entry.name]) if error.code == "taken" else {}
                waiting |= again
                said = _nobody_came() if again else why_not_this_name(error)
                answers.append((line, "there" if error.code == "taken" else "wrong", said))
    for one, _secret in made:
        waiting.pop(one.name, None)
    return _list_done(made, waiting, answers)


@blueprint.post("/admin/people/slips")
def new_slips() -> Response:
    """Other slips for people of a list who have not used theirs; whoever came in meanwhile keeps what they chose."""
    ports, here = parts().ports, access.account()
    with ports.database.read() as tx:
        wanted = _on_a_slip(tx, here, request.form.getlist("name"))
    secrets = {name: slips.one_time_password(ports.entropy) for name in wanted}
    hashes = {name: passwords.hash_password(secret, passwords.MIN_COST) for name, secret in secrets.items()}
    with ports.database.write() as tx:
        found = _on_a_slip(tx, here, wanted).values()
        for one in found:
            slips.issue_slip(tx, one, hashes[one.name])
            note(tx, "slip", one.name)
    return _list_done([(one, secrets[one.name]) for one in found])


def _on_a_slip(tx: Connection, here: Account, names: Iterable[str]) -> dict[str, Account]:
    """Those of ``names`` who are here and whose slip nobody has used, by name."""
    found = (accounts.find_account(tx, here.tenant, name) for name in list(names)[:_MOST_SLIPS])
    return {one.name: one for one in found if one is not None and slips.is_unused(tx, one)}


def _nobody_came() -> str:
    return gettext("This person is here already, and nobody has used their slip yet.")


def _list_done(
    made: list[tuple[Account, str]],
    waiting: Iterable[str] = (),
    answers: Sequence[tuple[roll.Line, str, str]] | None = None,
) -> Response:
    """The slips of whoever was ``made``; without ``answers`` they are other slips for people who were here."""
    values: dict[str, Any] = {"names": [one.name for one, _secret in made], "waiting": list(waiting)}
    if answers is not None:
        count = Counter(word for _line, word, _said in answers)
        values["tally"] = {"made": len(made), "there": count["there"], "wrong": count["wrong"]}
    papers = [slip_paper(one, secret) for one, secret in made]
    with parts().ports.database.read() as tx:
        return _no_copy(page("admin_list_done.html", tx, place="more", papers=papers, answers=answers or (), **values))


def _make(tx: Connection, here: Account, entry: roll.Entry, hashed: str) -> Account:
    """A new person with a slip; raises Refused as ``create_account`` and, field ``language``, for one that is not offered."""
    wanted = language.named(entry.language) if entry.language else language.of_the_box()
    if wanted is None:
        raise Refused("no such language", code="language", field="language")
    made = accounts.create_account(
        tx,
        here.tenant,
        entry.name,
        password_hash=None,
        now=parts().ports.clock(),
        language=wanted,
        time_zone=parts().settings.time_zone,
        display_name=entry.display_name,
    )
    slips.issue_slip(tx, made, hashed)
    welcome(tx, made, parts().ports.clock())
    note(tx, "made", made.name)
    return accounts.get_account(tx, here.tenant, made.no)


def _no_copy(text: str) -> Response:
    answer = make_response(text)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _new_page(problem: str = "", there: Account | None = None) -> str:
    """``there`` is whoever was made with this name and never came in: a form that is sent again, as a reload does, says so."""
    with parts().ports.database.read() as tx:
        return page("admin_new.html", tx, place="more", typed=request.form, problem=problem, there=there)


def _list_page(problem: str = "") -> str:
    with parts().ports.database.read() as tx:
        usual = language.offered()[language.of_the_box()]
        typed = request.form.get("lines", "")
        return page("admin_list.html", tx, place="more", typed=typed, problem=problem, usual=usual)
