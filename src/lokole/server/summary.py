"""The status page in short, for a browser that runs no scripts: one page of at most 10 kB, however many boxes there are."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

#: bytes of the whole page, at most
MAX_BYTES = 10_000
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Boxes in short</title><style>
:root{color-scheme:light dark}body{font:17px/1.5 system-ui,sans-serif;margin:0 auto;padding:16px;max-width:60em}
table{border-collapse:collapse;width:100%}th,td{text-align:start;padding:4px 12px 4px 0;border-bottom:1px solid;overflow-wrap:anywhere;vertical-align:top}
@media(max-width:40em){thead{position:absolute;clip-path:inset(50%)}tr,td{display:block}td{border:0;padding:0}tr{border-bottom:1px solid;padding:8px 0}td:before{content:attr(data-of)": "}td:first-child{font-weight:700}td:first-child:before{content:""}}
</style></head><body><main><h1>Boxes in short</h1>
"""
_TABLE = (
    "<table><thead><tr><th>Box<th>State<th>Last visit (UTC)<th>Letters waiting<th>People<th>Said</tr></thead><tbody>\n"
)
_END = "</main></body></html>\n"
#: left for what stands below the table
_ROOM = 600


def summary(told: dict[str, Any], now: datetime) -> str:
    """The page for what ``fleet.fleet`` tells; the boxes that want looking after come first, the rest as long as there is room."""
    boxes = sorted(told["boxes"], key=_urgency)
    silent = sum(1 for box in boxes if box["nights_missed"])
    waiting = sum(box["waiting"] for box in boxes)
    head = (
        f"{_HEAD}<p><strong>{_count(len(boxes), 'box', 'boxes')}, {silent:,} of them silent; "
        f"{_count(waiting, 'letter waits', 'letters wait')}.</strong> {now:%Y-%m-%d %H:%M} UTC</p>\n"
    )
    if not boxes:
        return f"{head}<p>No box is registered yet.</p>{_end()}"
    page = head + _TABLE
    shown = 0
    for box in boxes:
        row = _row(box)
        if len((page + row).encode()) > MAX_BYTES - _ROOM:
            break
        page += row
        shown += 1
    left = len(boxes) - shown
    more = f"<p>And {_count(left, 'box', 'boxes')} more, for which there is no room here.</p>\n" if left else ""
    return f"{page}</tbody></table>\n{more}{_end()}"


def away() -> str:
    """The page while the database does not answer; it asks again by itself."""
    return (
        _HEAD.replace("<title>", '<meta http-equiv="refresh" content="60"><title>')
        + "<p><strong>The server runs, but its database does not answer.</strong></p>\n"
        "<p>No letter is lost by that: boxes and other mail servers keep what they have and come again.</p>\n"
        "<p>Look at the database's machine, its disk and <code>lokole doctor</code>. This page asks again every minute.</p>\n"
        f"{_end()}"
    )


def _end() -> str:
    return f'<p><a href="./">The whole status page</a> needs a browser that runs scripts.</p>{_END}'


def _urgency(box: dict[str, Any]) -> tuple[int, int, str]:
    is_well = not (box["nights_missed"] or box["twin_seen"] or box["health"].get("failed"))
    return (int(is_well), -int(box["nights_missed"]), str(box["domain"]))


def _row(box: dict[str, Any]) -> str:
    visit = "never" if box["last_visit"] is None else f"{datetime.fromisoformat(box['last_visit']):%Y-%m-%d %H:%M}"
    nights = box["nights_missed"]
    state = f"silent for {_count(nights, 'night', 'nights')}" if nights else _STATES.get(box["state"], box["state"])
    if box["twin_seen"]:
        state += ", perhaps a second machine has its key"
    said = ", ".join(f"{name} {value}" for name, value in sorted(box["health"].items()) if name not in _NOT_SAID)
    cells = (
        ("Box", box["domain"]),
        ("State", state),
        ("Last visit (UTC)", visit),
        ("Letters waiting", f"{box['waiting']:,}"),
        ("People", f"{box['people']:,}"),
        ("Said", said[:100] or "nothing yet"),
    )
    return "<tr>" + "".join(f'<td data-of="{name}">{escape(str(value))}' for name, value in cells) + "</tr>\n"


#: of what a box says of itself, what is for programs
_NOT_SAID = ("reads", "leaves", "zone")
_STATES = {
    "preparing": "being prepared",
    "given-up": "could not be made ready",
    "waiting": "waits for its box",
    "claimed": "well",
    "removed": "being removed",
}


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
