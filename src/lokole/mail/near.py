"""Near misses of addresses: ``gmial.com`` for ``gmail.com``, ``jeane`` for ``jeanne``. Offers, never decides."""

from __future__ import annotations

from collections.abc import Iterable

#: the providers that people write to most, where Lokole is; those that are near one another are all here, so that none is taken for the other
KNOWN_DOMAINS = (
    "gmail.com", "googlemail.com", "yahoo.com", "yahoo.fr", "yahoo.co.uk", "ymail.com", "hotmail.com", "hotmail.fr",
    "hotmail.co.uk", "outlook.com", "outlook.fr", "live.com", "live.fr", "msn.com", "icloud.com", "me.com", "mac.com",
    "aol.com", "mail.com", "email.com", "proton.me", "protonmail.com", "gmx.com", "gmx.net", "gmx.fr", "gmx.de", "web.de",
    "orange.fr", "orange.com", "orange.cd", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "bbox.fr", "skynet.be", "bluewin.ch",
    "yandex.com", "yandex.ru", "mail.ru", "zoho.com", "tutanota.com", "fastmail.com", "hey.com", "unikin.ac.cd",
)  # fmt: skip
_ENDS = {
    "gmail": "gmail.com",
    "yahoo": "yahoo.com",
    "hotmail": "hotmail.com",
    "outlook": "outlook.com",
    "live": "live.com",
}


def near_domain(domain: str, own: str = "") -> str:
    """The well-known domain, or ``own`` one, that was probably meant by ``domain``; empty when it is right or like none."""
    domain = domain.strip().rstrip(".").lower()
    known = (own, *KNOWN_DOMAINS) if own else KNOWN_DOMAINS
    if not domain or domain in known:
        return ""
    if domain in _ENDS:
        return _ENDS[domain]
    allowed = 1 if len(domain) < 9 else 2
    best = ("", allowed + 1)
    for one in known:
        if abs(len(one) - len(domain)) <= allowed:
            apart = distance(domain, one, best[1])
            # what shares neither beginning nor name with it is another place: gmx.com is not mac.com
            if apart < best[1] and (domain[0] == one[0] or apart == 1) and len(one) > 6:
                best = (one, apart)
    return best[0]


def near_names(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Those of ``names`` that are most like ``name``, the nearest first."""
    name = name.casefold()
    found = []
    for one in names:
        apart = distance(name, one, 3)
        if apart > (1 if len(name) < 5 else 2):
            pieces = one.replace("-", ".").split(".")
            if not (
                len(name) >= 3 and (one.startswith(name) or (name.startswith(one) and len(one) >= 3) or name in pieces)
            ):
                continue
            apart = 3
        if apart:
            found.append((apart, one))
    return [one for _, one in sorted(found)[:most]]


def distance(one: str, other: str, limit: int) -> int:
    """How many letters are missing, too many, wrong or swapped with their neighbour; at most ``limit``."""
    if abs(len(one) - len(other)) >= limit:
        return limit
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        previous, row = row, [i, *[0] * len(other)]
        for j, b in enumerate(other, start=1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) >= limit:
            return limit
        before = previous
    return min(row[-1], limit)
