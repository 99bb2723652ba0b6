"""What the server itself says to people who ask a service: that it does not work, that it is enough for today, where the answer hangs."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lokole.ports.service import Answer, in_language

# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_BROKEN = {
    "en": (
        "No answer from “{name}”",
        "“{name}” could not be reached, although it was tried for some hours. Please write to it again another day.",
    ),
    "fr": (
        "Pas de réponse de « {name} »",
        "« {name} » n’a pas pu être joint, malgré plusieurs essais pendant quelques heures. Écrivez-lui encore un autre jour.",
    ),
    "ln": (
        "“{name}” ayanoli te",
        "Tomekaki mbala mingi kokutana na “{name}”, kasi elongaki te. Komela ye lisusu mokolo mosusu.",
    ),
    "sw": (
        "Hakuna jibu kutoka “{name}”",
        "“{name}” haikuweza kufikiwa, ingawa tulijaribu kwa saa kadhaa. Tafadhali iandikie tena siku nyingine.",
    ),
}
_TOO_MANY = {
    "en": (
        "That is enough for today",
        "You have asked {most} times within a day, which is as often as the services answer one person. Ask again tomorrow.",
    ),
    "fr": (
        "C’est assez pour aujourd’hui",
        "Vous avez demandé {most} fois en un jour ; les services ne répondent pas plus souvent à une personne. Demandez encore demain.",
    ),
    "ln": (
        "Ekoki mpo na lelo",
        "Otuni mbala {most} na mokolo moko; basalisi bayanolaka moto moko koleka wana te. Tuna lisusu lobi.",
    ),
    "sw": (
        "Inatosha kwa leo",
        "Umeuliza mara {most} ndani ya siku moja; huduma hazimjibu mtu mmoja zaidi ya hapo. Uliza tena kesho.",
    ),
}
_HANGS = {
    "en": (
        "On the board: {title}",
        "Somebody has asked this already: the answer hangs on the board of your box under “{title}”, since {since}, until {until}. "
        "If you do not find it there, send your question once more: then it comes as a letter.",
    ),
    "fr": (
        "Au tableau : {title}",
        "Quelqu’un l’a déjà demandé : la réponse est affichée au tableau de votre boîte sous « {title} », depuis le {since}, jusqu’au {until}. "
        "Si vous ne l’y trouvez pas, envoyez votre question encore une fois : elle viendra alors par lettre.",
    ),
    "ln": (
        "Na etanda: {title}",
        "Moto mosusu asilaki kotuna yango: eyano ezali na etanda ya sanduku na bino na kombo “{title}”, banda {since}, tii {until}. "
        "Soki omoni yango te, tinda motuna na yo lisusu: ekoya na mokanda.",
    ),
    "sw": (
        "Kwenye ubao: {title}",
        "Mtu mwingine ameshauliza hili: jibu liko kwenye ubao wa kisanduku chenu kwa jina “{title}”, tangu {since}, hadi {until}. "
        "Usipolipata hapo, tuma swali lako tena: litakuja kama barua.",
    ),
}
_LEFT_OUT = {
    "en": "A file with this answer was too large and was left out.",
    "fr": "Un fichier de cette réponse était trop grand et a été laissé de côté.",
    "ln": "Fisie moko ya eyano oyo ezalaki monene mingi, etikali.",
    "sw": "Faili moja la jibu hili lilikuwa kubwa mno na limeachwa.",
}


def does_not_work(language: str, name: str) -> Answer:
    """The service ``name`` has not answered, and is not asked again."""
    return _said(_BROKEN, language, name=name)


def too_many(language: str, most: int) -> Answer:
    """The writer has asked more than ``most`` times within a day."""
    return _said(_TOO_MANY, language, most=str(most))


def it_hangs(language: str, title: str, since: datetime, until: datetime, time_zone: str) -> Answer:
    """The answer hangs on the board as ``title``; moments are told in the person's ``time_zone``."""
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    days = {
        "since": since.astimezone(zone).strftime("%Y-%m-%d"),
        "until": until.astimezone(zone).strftime("%Y-%m-%d %H:%M"),
    }
    return _said(_HANGS, language, title=title, **days)


def fitting(answer: Answer, language: str, max_file_bytes: int) -> Answer:
    """The answer without the files that do not fit into ``max_file_bytes`` together; a sentence says that they are missing."""
    kept, left = [], max_file_bytes
    for one in answer.attachments:
        if len(one.content) <= left:
            kept.append(one)
            left -= len(one.content)
    if len(kept) == len(answer.attachments):
        return answer
    note = html.escape(in_language(_LEFT_OUT, language), quote=False)
    return replace(answer, attachments=tuple(kept), body=f"{answer.body}<p>{note}</p>")


def _said(texts: dict[str, tuple[str, str]], language: str, **values: str) -> Answer:
    subject = in_language({code: pair[0] for code, pair in texts.items()}, language).format(**values)
    body = in_language({code: pair[1] for code, pair in texts.items()}, language).format(**values)
    return Answer(subject, f"<p>{html.escape(body, quote=False)}</p>")
