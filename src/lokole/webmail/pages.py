"""Turning what a view has fetched into a page.

Every signed-in page shows two counts in its menu; :func:`page` fetches them in the view's own transaction.
Messages that survive a redirect are words from :data:`NOTES`, with numbers of letters behind a colon where they can be taken back;
they are translated when they are shown, so that no cookie holds a sentence or a secret.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, g, get_flashed_messages, render_template, request, url_for
from flask_babel import get_locale, lazy_gettext
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from lokole.mailbox import lists
from lokole.mailbox.database import Connection
from lokole.mailbox.visits import End
from lokole.webmail import drum, language
from lokole.webmail.access import mark_of, own_telephone, seconds_left, signed_in
from lokole.webmail.assets import Asset
from lokole.webmail.parts import parts
from lokole.webmail.repeating import WRITER
from lokole.webmail.site import site
from lokole.webmail.words import gettext

#: what a redirect may say afterwards: (look, sentence).
NOTES = {
    "in-bag": ("good", lazy_gettext("It is in the bag.")),
    "sent-before": ("good", lazy_gettext("This letter was sent already.")),
    "left-town": ("good", lazy_gettext("It is on its way. Your box has it after its next visit.")),
    "arrived-here": ("good", lazy_gettext("It was delivered.")),
    "bag-and-here": ("good", lazy_gettext("People here have it already. For the others it is in the bag.")),
    "taken-back": ("good", lazy_gettext("The letter is out of the bag. It does not leave.")),
    "taken-back-here": (
        "good",
        lazy_gettext("It does not leave any more. People here who have it keep it; this is the letter for the others."),
    ),
    "take-back-packed": (
        "warn",
        lazy_gettext("This letter is packed for the exchange already. It can no longer be taken back."),
    ),
    "take-back-none": ("warn", lazy_gettext("This letter is not in the bag any more.")),
    "take-back-full": (
        "warn",
        lazy_gettext("You keep many letters for later. Send or delete some, then this one can be taken back."),
    ),
    "take-back-often": (
        "warn",
        lazy_gettext("You have taken back many letters in this hour. Wait a little, then try again."),
    ),
    "kept": ("good", lazy_gettext("The letter is kept for later.")),
    "kept-apart": (
        "warn",
        lazy_gettext("This letter was changed in another window, too. Both are kept: look which one you want."),
    ),
    "draft-deleted": ("good", lazy_gettext("The letter that you had begun is deleted.")),
    "removed": ("good", lazy_gettext("It is taken out.")),
    "deleted": ("good", lazy_gettext("The letter is deleted.")),
    "deleted-many": ("good", lazy_gettext("The letters are deleted.")),
    "erased": ("good", lazy_gettext("The letter is gone for good.")),
    "erased-all": ("good", lazy_gettext("The deleted letters are gone for good.")),
    "erased-some": (
        "warn",
        lazy_gettext("The deleted letters are gone for good, but those that are still on their way."),
    ),
    "on-its-way": (
        "warn",
        lazy_gettext("This letter is still on its way. It can be deleted for good when it has arrived."),
    ),
    "put-back": ("good", lazy_gettext("It is back in its place.")),
    "archived": ("good", lazy_gettext("It is in the archive.")),
    "moved": ("good", lazy_gettext("It is in its new place.")),
    "folder-gone": ("good", lazy_gettext("The folder is gone. Its letters are here, in the archive.")),
    "none-ticked": ("warn", lazy_gettext("No letter was ticked. Tick one first.")),
    "password-changed": ("good", lazy_gettext("Your new password is set. Other telephones are signed out.")),
    "way-set": ("good", lazy_gettext("Your new way in is set. Other telephones are signed out.")),
    "way-forgotten": ("good", lazy_gettext("This way in is gone.")),
    "last-way": ("warn", lazy_gettext("This is your only way in. Choose another one first.")),
    "wrong-tries": (
        "warn",
        lazy_gettext("Somebody tried to enter as you, several times. If it was not you, choose a longer password."),
    ),
    "roaming-on": ("good", lazy_gettext("From the next exchange on you can read your letters in town, too.")),
    "roaming-off": ("good", lazy_gettext("From the next exchange on your letters can be read here only.")),
    "roaming-needs-password": (
        "warn",
        lazy_gettext("For that you need a password: a PIN or pictures are too weak for the internet."),
    ),
    "others-signed-out": ("good", lazy_gettext("All other telephones are signed out.")),
    "gone": ("good", lazy_gettext("Your address is gone. Thank you for having been here.")),
    "welcome": ("good", lazy_gettext("Welcome. This is your inbox.")),
    "signed-out": ("good", lazy_gettext("You have left. Nobody can read your letters here.")),
    "untouched": (
        "good",
        lazy_gettext(
            "Nobody has touched the page for a while, so Lokole closed it. Nobody can read your letters here."
        ),
    ),
    "schedule-saved": ("good", lazy_gettext("The new hours are kept.")),
    "exchange-started": ("good", lazy_gettext("The exchange has begun. Look again in a few minutes.")),
    "exchange-busy": ("warn", lazy_gettext("An exchange is under way already.")),
    "register-first": ("warn", lazy_gettext("Register the box first. Until then it has no server to meet.")),
    "suspended": ("good", lazy_gettext("This person can no longer sign in.")),
    "unsuspended": ("good", lazy_gettext("This person can sign in again.")),
    "promoted": ("good", lazy_gettext("This person looks after the box now, too.")),
    "demoted": ("good", lazy_gettext("This person no longer looks after the box.")),
    "last-admin": ("warn", lazy_gettext("Somebody has to look after the box. Let somebody else do it first.")),
    "saved": ("good", lazy_gettext("It is kept.")),
    "person-deleted": ("good", lazy_gettext("This person is no longer here.")),
    "people-merged": ("good", lazy_gettext("The two are one now. Letters to the old name still arrive.")),
    "registered": ("good", lazy_gettext("The box is registered. Its letters leave with the next exchange.")),
    "tidied": ("good", lazy_gettext("What nobody needs is gone.")),
    "update-started": ("good", lazy_gettext("The update has begun.")),
    "update-busy": ("warn", lazy_gettext("An update is under way already.")),
    "set-up": ("good", lazy_gettext("The box is ready.")),
    "set-up-waits": ("good", lazy_gettext("These were the first steps. What is still to be done stands here.")),
    "posted": ("good", lazy_gettext("It hangs on the board.")),
    "taken-down": ("good", lazy_gettext("It no longer hangs on the board.")),
    "listed": ("good", lazy_gettext("You are in the list of people.")),
    "unlisted": ("good", lazy_gettext("You are no longer in the list of people.")),
    "resolved": ("good", lazy_gettext("It is marked as seen.")),
}


def install(app: Flask) -> None:
    """Give templates of ``app`` the few words they all use."""
    files: dict[str, Asset] = app.extensions["lokole-assets"]

    def asset(name: str) -> str:
        key = "lokole_asset_" + name
        if key not in g:
            setattr(g, key, url_for("home.asset", digest=files[name].digest, name=name))
        address: str = getattr(g, key)
        return address

    def icon(name: str, look: str = "", bare: bool = False) -> Markup:
        classes = f'"i {look}"' if look else "i"
        hidden = "" if bare else " aria-hidden=true"  # bare: within a button whose label says it all
        return Markup(f'<svg class={classes}{hidden}><use href="{asset("i.svg")}#{name}"/></svg>')  # noqa: S704

    def tile(name: str, address: str, framed: bool = False) -> Markup:
        letter = Markup.escape(drum.first_letter(name, address))
        box = ' viewBox="0 0 44 48"' if framed else ""
        use = f"{asset('i.svg')}#d{drum.pattern(address)}"
        return Markup(f'<svg class=tile{box} aria-hidden=true><text>{letter}</text><use href="{use}"/></svg>')  # noqa: S704

    app.jinja_env.globals.update(
        asset=asset,
        icon=icon,
        tile=tile,
        csrf=_csrf,
        wrong_field=_wrong_field,
        notes=_notes,
        undo=_undo,
        may_carry=_may_carry,
        short_when=language.short_when,
        long_when=language.long_when,
        clock_time=language.clock_time,
        departure=language.departure,
        day=language.day,
        size=language.size,
        file_count=language.file_count,
        date=language.date,
        last_day=language.last_day,
    )
    app.context_processor(_everywhere)


def _may_carry() -> bool:
    """Whether somebody who goes to town can be asked to carry the mail."""
    carrier = parts().ports.carrier
    return carrier is not None and carrier.is_ready()


def _wrong_field() -> Markup:
    """What marks a field that was refused; the first one on a page is where its reader starts, scrolled into sight."""
    first = not g.get("wrong_field_seen")
    g.wrong_field_seen = True
    return Markup(" aria-invalid=true autofocus" if first else " aria-invalid=true")  # noqa: S704 # words of ours


def page(template: str, tx: Connection | None = None, **values: Any) -> str:
    """The page ``template`` filled with ``values``; ``tx`` lets the menu show its counts."""
    person = signed_in()
    if person is not None and tx is not None:
        values["counts"] = lists.counts(tx, person)
    return render_template(template, **values)


def _everywhere() -> dict[str, Any]:
    locale = get_locale()
    settings = parts().settings
    return {
        "me": signed_in(),
        "mark_of": mark_of,
        "own": own_telephone(),
        "idle": seconds_left(),
        "lang": str(locale),
        "rtl": locale is not None and locale.text_direction == "rtl",
        "settings": settings,
        "domain": parts().tenants.domain,
        "here": request.path,
        "counts": None,
        "offered": language.offered(),
        "site": site(),
        "local_only": parts().ports.sync_now is None,
    }


def _csrf() -> Markup:
    """What each form carries: its token, and whose it is, so that one that comes too late is kept for them alone (``repeating.py``)."""
    person = signed_in()
    writer = f"<input type=hidden name={WRITER} value={mark_of(person)}>" if person is not None else ""
    return Markup(f'<input type=hidden name=csrf_token value="{generate_csrf()}">{writer}')  # noqa: S704


def _notes() -> list[tuple[str, str]]:
    found = []
    for word in _flashed():
        name = word.partition(":")[0]
        if name in NOTES:
            look, sentence = NOTES[name]
            found.append((look, str(sentence)))
    return found


def _flashed() -> list[str]:
    return [word for word in get_flashed_messages() if isinstance(word, str)]


def _undo() -> list[str]:
    """The numbers of letters that were deleted just now and can be put back with one button."""
    for word in _flashed():
        name, _colon, numbers = word.partition(":")
        if name in ("deleted", "deleted-many") and numbers:
            return list(numbers.split(","))
    return []


def sentence(word: str) -> str:
    """What a person reads for how an exchange ended; words that the server alone knows get a plain sentence."""
    unknown_here = gettext("The server does not know this box any more. Tell the people who look after the server.")
    known: dict[str, str] = {
        End.OK: gettext("All good."),
        End.RUNNING: gettext("It is under way."),
        End.BROKEN: gettext(
            "It broke off, perhaps because the power went. Lokole goes on with it at the next exchange."
        ),
        End.NO_CONNECTION: gettext("No network. Your letters stay in the bag."),
        End.BAD_PACKAGE: gettext("What came could not be read. Lokole tries again at the next exchange."),
        End.NOT_FOUND: gettext(
            "Something that was to be carried was not there. Lokole tries again at the next exchange."
        ),
        End.FAILED: gettext("It ended early. Lokole tries again at the next exchange."),
        End.FAULT: gettext("Lokole itself made a mistake. Tell whoever set up the box. No letter is lost."),
        End.AUTHORIZATION: unknown_here,
        End.SIGNATURE: unknown_here,
        End.REVOKED: unknown_here,
        End.REFUSED: unknown_here,
        End.UNREGISTERED: gettext("This box is not registered yet."),
        End.BUSY: gettext("Another exchange was under way."),
        End.STORAGE: gettext("The box could not write anything down. Its disk may be full."),
    }
    return known.get(word, gettext("It did not work. Lokole tries again at the next exchange."))
