"""The people of the box, looked after: finding somebody, a new one, a whole list of them.

A one-time password is shown once, on the answer to its form, and kept nowhere.
"""

from __future__ import annotations

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
from lokole.webmail.views.slip import slip_page
from lokole.webmail.words import gettext, locale

_MAX_LIST_BYTES = 200_000


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
        return _new_page(why_not_this_name(error)), 400
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
    if len(content) + len(typed.encode()) > _MAX_LIST_BYTES:
        return _list_page(gettext("The list is too long. Take it in parts.")), 413
    lines = roll.read(typed + "\n" + roll.decoded(content))
    if not lines:
        return _list_page(gettext("There is no line in the list. Write one person on each line.")), 400
    if len(lines) > roll.MOST_LINES:
        return _list_page(gettext("Take at most %(n)s people at a time.", n=roll.MOST_LINES)), 413
    # hashed before the transaction begins: nobody waits for it
    secrets = {line.n: slips.one_time_password(ports.entropy) for line in lines if line.entry is not None}
    hashes = {n: passwords.hash_password(secret, passwords.MIN_COST) for n, secret in secrets.items()}
    answers = []
    with ports.database.write() as tx:
        for line in lines:
            if line.entry is None:
                answers.append((line, "wrong", gettext("A line has a name, a full name and a language."), ""))
                continue
            try:
                with tx.begin_nested():
                    made = _make(tx, here, line.entry, hashes[line.n])
                answers.append((line, "made", str(made.address), secrets[line.n]))
            except Refused as error:
                word = "there" if error.code == "taken" else "wrong"
                answers.append((line, word, why_not_this_name(error), ""))
    with ports.database.read() as tx:
        counts = {word: sum(answer[1] == word for answer in answers) for word in ("made", "there", "wrong")}
        return _no_copy(page("admin_list_done.html", tx, place="more", answers=answers, tally=counts))


def _make(tx: Connection, here: Account, entry: roll.Entry, hashed: str) -> Account:
    """A new person with a slip; raises Refused as ``create_account`` and, field ``language``, for one that is not offered."""
    wanted = entry.language or locale()
    if wanted not in language.offered():
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
    note(tx, "made", made.name)
    return accounts.get_account(tx, here.tenant, made.no)


def _no_copy(text: str) -> Response:
    answer = make_response(text)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _new_page(problem: str = "") -> str:
    with parts().ports.database.read() as tx:
        return page("admin_new.html", tx, place="more", typed=request.form, problem=problem)


def _list_page(problem: str = "") -> str:
    with parts().ports.database.read() as tx:
        return page("admin_list.html", tx, place="more", typed=request.form.get("lines", ""), problem=problem)
