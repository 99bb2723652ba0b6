"""Why something could not be done, in a sentence that says what to do: one for each code that the rules of ``mailbox`` raise."""

from __future__ import annotations

from datetime import datetime

from lokole.mail.errors import Refused
from lokole.mailbox.accounts import NAME_RESTS_DAYS
from lokole.webmail import language
from lokole.webmail.words import gettext


def why_not_sent(error: Refused) -> str | None:
    """What the writer of a letter reads when a limit keeps it here; None for any other refusal."""
    bound = error.field or ""
    match error.code:
        case "local-only":
            return gettext(
                "You can write to people of this box. For letters into the world, ask the people who look after it."
            )
        case "unpaid":
            return gettext(
                "Your time for letters into the world ended on %(day)s. Letters to people here still go. Ask the people who look after the box.",
                day=language.date(language.last_day(datetime.fromisoformat(bound))),
            )
        case "full":
            return gettext(
                "Your letters take up all your room, %(size)s. Delete old ones with large files, then send this again.",
                size=language.size(int(bound)),
            )
        case "letter-size":
            return gettext(
                "Letters into the world carry up to %(size)s here. Take fewer or smaller files.",
                size=language.size(int(bound)),
            )
        case "letter-files":
            return gettext("Letters into the world carry up to %(n)s files here. Take some away.", n=bound)
        case "letters-a-day":
            return gettext(
                "You have sent %(n)s letters into the world today. Keep this one and send it tomorrow.", n=bound
            )
        case "no-post":
            return gettext("Only some people write on the board. Ask the people who look after the box.")
    return None


def why_not_this_name(error: Refused) -> str:
    """Why nobody was made."""
    match error.code:
        case "taken":
            return gettext("Somebody here has this name already.")
        case "resting":
            return gettext(
                "This is the name of somebody who has left. It rests for %(days)s days, so that nobody else gets their letters. Choose another one.",
                days=NAME_RESTS_DAYS,
            )
        case "reserved":
            return gettext("This name is kept for Lokole itself.")
        case "language":
            return gettext(
                "This language is not spoken here. Write one of: %(codes)s.",
                codes=", ".join(language.offered().values()),
            )
    return gettext(
        "Write the name with the letters a to z and the numbers 0 to 9, no accents, no spaces. A dot or a dash may stand in it, not at its beginning."
    )
