"""Writing: a new letter, an answer, a letter passed on; keeping it for later; sending it once.

What the form carries is in ``sheet.py``, whom it is for in ``addressing.py``, its text in ``wording.py``.
What somebody typed is never thrown away because something else is wrong: each answer is the form again with all of it,
or says where it is kept.
"""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, abort, flash, jsonify, redirect, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from lokole.mail.errors import NotFound, Refused, Temporary
from lokole.mail.html import html_to_text
from lokole.mail.model import Account, Email, FolderName
from lokole.mailbox import contacts, drafts, letter_options, lists, mail_flow, recipients, seen
from lokole.mailbox.database import Connection
from lokole.webmail import access, addressing, bounds, form_files, language, limits, photos, practice, sheet, wording
from lokole.webmail.cost import LETTER_BYTES, price
from lokole.webmail.forms import LetterForm
from lokole.webmail.headers import PAGE_POLICY
from lokole.webmail.numbers import row_number
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.refusals import why_not_sent
from lokole.webmail.sheet import ACTIONS, MAX_FILES, Sheet
from lokole.webmail.views.mailbox import tonight
from lokole.webmail.words import gettext

blueprint = Blueprint("compose", __name__)

Answer = str | AnyResponse | tuple[str | Response, int]

_FIELDS = ("to", "cc", "bcc")
#: characters of a field; what may be sent is far less (``max_recipients``)
_MOST_LOOKED_AT = 40_000
#: what the browser is given for completing addresses
_MOST_COMPLETED = 40
#: how often a form may be kept for somebody whose session has ended
_KEPT_SIGNED_OUT = "60 per hour"


@blueprint.before_request
def only_where_letters_leave() -> tuple[str, int] | None:
    """A letter written where nothing takes it on would wait for ever."""
    if parts().settings.writing:
        return None
    title, sentence = gettext("Not here yet"), gettext("Letters are written at the box; here they can be read.")
    return page("failure.html", title=title, sentence=sentence, picture="bag", login=False), 405


@blueprint.get("/email/new")
def new() -> str:
    """An empty letter, draft ``draft``, or one that answers (``action`` reply, reply_all), passes on (forward) or repeats (again) letter ``uid``."""
    person = access.account()
    with parts().ports.database.read() as tx:
        kept = request.args.get("draft", type=row_number)
        if kept is not None:
            found = drafts.get_draft(tx, person, kept)
            if found is None:
                raise NotFound("no such draft")
            return _page(tx, sheet.from_draft(tx, person, found))
        paper = Sheet(LetterForm(), sheet.drawn(), sheet.drawn())
        action, no = request.args.get("action", ""), request.args.get("uid", type=row_number)
        if action in ACTIONS and no is not None:
            wording.begin(paper, person, action, access.own_entry(tx, no))
        elif request.args.get("to"):
            paper.form.to.data = request.args["to"][:1000]
        wording.sign(paper, letter_options.get_options(tx, person).signature)
        return _page(tx, paper)


@blueprint.post("/email/new")
def send() -> Answer:
    """One of the form's buttons: ``send``, ``keep``, ``attach`` (another round), ``add:ADDRESS``, ``fix:FIELD TYPED MEANT``, ``check``."""
    person = access.account()
    with parts().ports.database.read() as tx:
        writer = sheet.owner(tx)
        paper = sheet.from_form(tx, person) if _may_send(person, writer) else None
    if paper is None:
        return kept_for_its_writer() or abort(400)
    pressed = request.form.get("do", "check")
    refused = _take_files(paper, person)
    if refused is not None:
        return refused
    if pressed == "keep":
        return _keep(paper, person)
    if pressed == "send" and request.form.get("action") and not paper.action:
        sentence = gettext(
            "The letter that you answer or pass on was deleted for good. Your text is kept: press once more, and it leaves without that letter."
        )
        return _again(paper, sentence, 409)
    if pressed == "send":
        return _send(paper, person)
    if pressed.startswith("add:"):
        typed = (paper.form.to.data or "").strip().rstrip(",")
        paper.form.to.data = ", ".join(part for part in (typed, pressed[4:][:320]) if part)
    elif pressed.startswith("fix:"):
        _fix(paper, pressed[4:])
    elif pressed == "attach":
        _keep_quietly(paper, person)
    with parts().ports.database.read() as tx:
        found = _look_over(tx, paper, person)
        outwards = bounds.goes_out((one for field in found.values() for one in field.people), person)
        too_much = bounds.bounds_for(tx, person).why_not(sheet.weight(paper), len(paper.files), outwards=outwards)
    return _again(paper, too_much, 200)


@blueprint.post("/email/draft")
def save() -> Answer:
    """The page's script keeps what was typed: ``{"version", "at"}``, or 409 or 503 with a sentence in ``say``."""
    person, ports = access.account(), parts().ports
    with ports.database.read() as tx:
        writer = sheet.owner(tx)
        paper = sheet.from_form(tx, person) if _may_send(person, writer) else None
    if paper is None:
        return kept_for_its_writer() or abort(400)
    try:
        with ports.database.write() as tx:
            now = ports.clock()
            version = drafts.save_draft(tx, person, paper.nonce, paper.version, paper.typed, now, page=paper.page)
    except Refused as error:
        return jsonify(say=_why_not_kept(error)), 409
    except Temporary:
        return jsonify(say=_no_room()), 503
    return jsonify(version=version, say=gettext("Kept at %(time)s.", time=language.clock_time(now)))


@blueprint.post("/email/check")
def check() -> Response:
    """The page's script asks about the addresses typed so far: for each field ``errors`` and ``near``, pairs of typed and meant."""
    person = access.account()
    answer = {}
    with parts().ports.database.read() as tx:
        names = addressing.Names(tx, person)
        for name in _FIELDS:
            typed = request.form.get(name, "")[:_MOST_LOOKED_AT]
            found = addressing.check(tx, person, typed, names)
            answer[name] = {"errors": found.errors, "near": found.near}
    return jsonify(answer)


@blueprint.after_request
def keep_for_going_back(response: Response) -> Response:
    """A browser may keep the form, so that going back after a failure finds what was typed; not on a shared telephone."""
    if "shared" not in session:
        response.headers["Cache-Control"] = "private, no-cache"
    # a voice message is heard before it is sent: it is in the page, nowhere else
    response.headers["Content-Security-Policy"] = f"{PAGE_POLICY}; media-src 'self' blob:"
    return response


def unrecognised() -> Answer | None:
    """The form once more with what was typed, for somebody who has signed in anew since it was shown; sends and keeps nothing.

    Somebody else's form is kept for them instead, and so is one when nobody is signed in or the page's script asks:
    see :func:`kept_for_its_writer`. None when the form is none of ours.
    """
    person = access.signed_in()
    if "nonce" not in request.form:
        return None
    with parts().ports.database.read() as tx:
        writer = sheet.owner(tx)
        if person is None or request.endpoint == "compose.save" or not _may_send(person, writer):
            paper = None
        else:
            paper = sheet.from_form(tx, person)
    if person is None or paper is None:
        return kept_for_its_writer()
    refused = _take_files(paper, person)
    if refused is not None:
        return refused
    return _again(
        paper, gettext("Lokole did not recognise this form. Your text is kept: press the button once more."), 400
    )


def _may_send(person: Account, writer: Account | None) -> bool:
    """Whether a form of ``writer`` is ``person``'s own; one that does not say whose it is, is of whoever sends it."""
    return writer is None or (writer.tenant, writer.no) == (person.tenant, person.no)


def kept_for_its_writer() -> Answer | None:
    """What was typed in a form whose session has ended is kept for the person whose form it was; None when it is nobody's.

    Nothing is shown of it, whoever is signed in now: it is among their letters kept for later once they sign in.
    """
    ports, here = parts().ports, access.signed_in()
    try:
        with ports.database.read() as tx:
            person = sheet.owner(tx)
            paper = sheet.from_form(tx, person) if person is not None else None
        if person is None or paper is None:
            return None
        limits.count(_KEPT_SIGNED_OUT, "kept-signed-out", person.no)
        _keep_or_apart(paper, person)
    except (Refused, NotFound, limits.TooOften):
        return None
    if here is not None and not _may_send(here, person):
        title = gettext("This letter is somebody else’s")
        sentence = gettext(
            "Whoever began it here has left since. It is kept for them, and not sent: they find it under “Kept for later”."
        )
        if request.endpoint == "compose.save":
            return jsonify(say=sentence), 403
        return page("failure.html", title=title, sentence=sentence, picture="bye", login=False), 403
    title = gettext("Please sign in again")
    sentence = gettext(
        "You were signed out in the meantime. What you have written is kept: sign in, then look under “Kept for later”."
    )
    if request.endpoint == "compose.save":
        return jsonify(say=sentence), 401
    if any(upload.filename for upload in request.files.getlist("files")):
        sentence += " " + gettext("Only the files that you had just chosen are not there: choose them again.")
    where = url_for("drafts.kept")
    return page(
        "failure.html", title=title, sentence=sentence, picture="bye", login=True, back=where, here_again=True
    ), 401


# --- the buttons ---------------------------------------------------------------------------------


def _take_files(paper: Sheet, person: Account) -> tuple[str, int] | None:
    """Keep the files of this round; the page that says why not when that does not work."""
    text_bytes = len((paper.form.body.data or "").encode())
    brought = form_files.brought(paper.files, text_bytes, MAX_FILES, paper.photo)
    if brought.too_many:
        sentence = gettext("A letter carries up to %(n)s files. Your text is kept; take fewer files.", n=MAX_FILES)
        return _again(paper, sentence, 413)
    if brought.too_large:
        limit = language.size(parts().settings.max_upload_bytes)
        sentence = gettext(
            "Too large together: a letter carries up to %(limit)s. Your text is kept; take fewer files.", limit=limit
        )
        return _again(paper, sentence, 413)
    try:
        paper.files += form_files.store(person, brought.found)
    except Temporary:
        return _again(paper, gettext("Lokole could not keep the files: its memory is full. Your text is kept."), 503)
    return None


def _send(paper: Sheet, person: Account) -> AnyResponse | tuple[str, int]:
    ports, settings = parts().ports, parts().settings
    with ports.database.read() as tx:
        email = _checked(tx, paper, person)
    if email is None:
        return _again(paper, gettext("The letter is not in the bag yet: look at the marked lines."), 400)
    try:
        limits.count(settings.letters, "letter", person.no)
        with ports.database.write() as tx:
            now = ports.clock()
            if not seen.remember(tx, person.tenant, "form", drafts.form_key(person, paper.nonce), now):
                raise Refused("the form was sent before", code="sent")
            seen.remember(tx, person.tenant, "form-text", _text_key(paper, person), now)
            no = mail_flow.send_letter(
                tx, person, email, origin=ports.origin, now=now, attachments=paper.files, written=ports.written
            )
            practice.answer(tx, person, no)
            drafts.delete_draft(tx, person, drafts.find_draft(tx, person, paper.nonce))
            ways = {one.state for one in recipients.deliveries(tx, person.tenant, no)}
    except limits.TooOften:
        return _again(
            paper, gettext("You have written many letters in this hour. Your text is kept: wait a little."), 429
        )
    except Refused as error:
        if error.code == "sent":
            return _sent_before(paper, person)
        why = why_not_sent(error) or gettext("The letter is not in the bag yet: something in it was not right.")
        return _again(paper, why, 400)
    except Temporary:
        sentence = gettext(
            "Lokole is busy, or its memory is full. Your text is still in the form: try again in a minute. If it stays so, tell who looks after the box."
        )
        return _again(paper, sentence, 503)
    outside = any(state.value == "waiting" for state in ways)
    here = any(state.value == "local" for state in ways)
    if parts().settings.in_town:
        flash("left-town")
    else:
        flash("bag-and-here" if outside and here else "in-bag" if outside else "arrived-here")
    return redirect(url_for("mailbox.outbox") if outside else url_for("letter.show", no=no), 303)


def _keep(paper: Sheet, person: Account) -> AnyResponse | tuple[str, int]:
    try:
        apart = _keep_or_apart(paper, person)
    except Refused as error:
        if error.code == "sent":
            return _sent_before(paper, person)
        return _again(paper, _why_not_kept(error), 409)
    except Temporary:
        return _again(paper, _no_room(), 503)
    flash("kept-apart" if apart else "kept")
    return redirect(url_for("drafts.kept"), 303)


def _sent_before(paper: Sheet, person: Account) -> AnyResponse | tuple[str, int]:
    """The form has made a letter. Somebody who went back and changed it means another one; who only repeats it does not."""
    with parts().ports.database.read() as tx:
        repeated = seen.find_noted(tx, person.tenant, "form-text", _text_key(paper, person)) is not None
    if repeated:
        flash("sent-before")
        return redirect(url_for("mailbox.outbox"), 303)
    paper.nonce, paper.version = sheet.drawn(), 0
    return _again(
        paper,
        gettext("That letter was sent already. What you have changed since is here as a new one: press once more."),
        409,
    )


def _text_key(paper: Sheet, person: Account) -> str:
    """Under which key ``seen`` knows what was sent with a form."""
    return f"{drafts.form_key(person, paper.nonce)}:{hashlib.sha256(repr(paper.typed).encode()).hexdigest()}"


def _keep_or_apart(paper: Sheet, person: Account) -> bool:
    """Keep a draft; when another window has a newer one, beside it: then True. Raises Refused (``sent``, ``too-many``) and Temporary."""
    ports = parts().ports
    with ports.database.write() as tx:
        now = ports.clock()
        try:
            paper.version = drafts.save_draft(tx, person, paper.nonce, paper.version, paper.typed, now, page=paper.page)
            return False
        except Refused as error:
            if error.code != "newer":
                raise
        drafts.save_draft(tx, person, sheet.drawn(), 0, paper.typed, now, page=paper.page)
        return True


def _keep_quietly(paper: Sheet, person: Account) -> None:
    """Files that were chosen are named by a draft from now on; it is no harm when that does not work."""
    ports = parts().ports
    try:
        with ports.database.write() as tx:
            now = ports.clock()
            paper.version = drafts.save_draft(tx, person, paper.nonce, paper.version, paper.typed, now, page=paper.page)
        paper.kept = gettext("Kept at %(time)s.", time=language.clock_time(now))
    except (Refused, Temporary):
        return


def _no_room() -> str:
    return gettext("Lokole could not keep the letter: its memory is full. Your text is still in the form.")


def _why_not_kept(error: Refused) -> str:
    if error.code == "newer":
        return gettext("This letter was changed in another window. Here it is no longer kept by itself.")
    if error.code == "too-many":
        return gettext("You keep many letters for later. Send or delete some, then this one can be kept, too.")
    return gettext("This letter was sent already.")


def _fix(paper: Sheet, offer: str) -> None:
    """Take up an offer: the field, what was typed, what is meant."""
    name, _, both = offer.partition(" ")
    typed, _, meant = both.rpartition(" ")
    if name in _FIELDS and typed:
        paper.form[name].data = addressing.put_in_place(paper.form[name].data or "", typed, meant[:320])


# --- checking ------------------------------------------------------------------------------------


def _checked(tx: Connection, paper: Sheet, person: Account) -> Email | None:
    """The letter, or None with the errors beside their fields."""
    form, most = paper.form, parts().settings.max_recipients
    form.validate()
    if form.errors:
        return None
    named = sum(len(addressing.parts_of(form[name].data or "")) for name in _FIELDS)
    if named > most:
        form.to.errors = [_too_many(most, named)]
        return None
    found = _look_over(tx, paper, person)
    for name, one in found.items():
        for address in one.doubtful:
            if address not in paper.asked:
                paper.asked.append(address)
                form[name].errors = [*form[name].errors, addressing.what_is_doubtful(address)]
    people = sum(len(one.people) for one in found.values())
    if not named:
        form.to.errors = [gettext("Whom is the letter for?")]
    elif people > most:
        form.to.errors = [*form.to.errors, _too_many(most, people)]
    if any(form[name].errors for name in _FIELDS):
        return None
    return wording.put_together(paper, person, found["to"].people, found["cc"].people, found["bcc"].people)


def _look_over(tx: Connection, paper: Sheet, person: Account) -> dict[str, addressing.Checked]:
    """Read the three fields; what is wrong and what may be meant goes beside each."""
    names, form = addressing.Names(tx, person), paper.form
    found = {name: addressing.check(tx, person, (form[name].data or "")[:_MOST_LOOKED_AT], names) for name in _FIELDS}
    for name, one in found.items():
        form[name].errors = list(one.errors)
        paper.near += [(name, typed, meant) for typed, meant in one.near]
    return found


def _too_many(most: int, named: int) -> str:
    return (
        gettext("A letter goes to at most %(n)s people.", n=most)
        + " "
        + gettext("You have named %(n)s. Take some out and write to them in a second letter.", n=named)
    )


# --- showing -------------------------------------------------------------------------------------


def _again(paper: Sheet, problem: str, status: int) -> tuple[str, int]:
    """The form once more, with everything that was typed."""
    paper.problem = problem
    with parts().ports.database.read() as tx:
        return _page(tx, paper), status


def _page(tx: Connection, paper: Sheet) -> str:
    settings, person = parts().settings, access.account()
    used, quoted_bytes = sheet.weight(paper), sheet.quoted_bytes(paper)
    bound = bounds.bounds_for(tx, person)
    limit, most_files = bound.shown
    answers = paper.answers.letter.email if paper.answers is not None else None
    known = contacts.list_contacts(tx, person, limit=_MOST_COMPLETED)
    groups = contacts.list_groups(tx, person)
    asked_price = price(tx, person.tenant)
    return page(
        "write.html",
        tx,
        place="write",
        sheet=paper,
        owner=sheet.owner_token(person, paper.nonce),
        form=paper.form,
        files=[(form_files.token(file, person), file) for file in paper.files],
        used=used,
        bounds=bound,
        limit=limit,
        nearly_full=used > limit * 0.7,
        max_files=most_files,
        quoted_bytes=quoted_bytes,
        photo_sizes=photos.choices(settings.pictures, asked_price),
        quoted=html_to_text(answers.body)[:600] if answers is not None and paper.action != "again" else "",
        suggestions=_suggestions(tx, person, paper.form.to.data or ""),
        known=known,
        groups=[(one, bounds.group_goes_out(one, person)) for one in groups],
        price=asked_price,
        weight=used - paper.file_bytes + LETTER_BYTES,
        drafts_count=drafts.count_drafts(tx, person),
        stays=asked_price.per_mb is not None and _stays(tx, paper, person),
        decimal_point=language.decimal(0.5)[1],
        # a form never goes to the address it stands at: when it does not arrive, the browser's page about that would take its place,
        # and going back would not lead to what was typed
        turn=(request.args.get("turn", type=row_number) or 0) % 1000 + 1,
        **tonight(tx),
    )


def _stays(tx: Connection, paper: Sheet, person: Account) -> bool:
    """Whether all whom the letter is for, as far as typed, are served here: then it costs nothing."""
    names, typed = addressing.Names(tx, person), [(paper.form[name].data or "")[:_MOST_LOOKED_AT] for name in _FIELDS]
    people = [one for some in typed for one in addressing.check(tx, person, some, names).people]
    return bool(people) and not bounds.goes_out(people, person)


def _suggestions(tx: Connection, person: Account, typed: str) -> list[tuple[str, str]]:
    """Three people who wrote last, as (name, address), without those already there."""
    if typed.strip():
        return []
    recent = lists.list_folder(tx, person, FolderName.INBOX, limit=20).rows
    found = {row.sender_address.casefold(): (row.sender_name, row.sender_address) for row in reversed(recent)}
    skip = {person.address.key, parts().settings.welcome_from.casefold(), ""}
    return [pair for key, pair in reversed(found.items()) if key not in skip][:3]
