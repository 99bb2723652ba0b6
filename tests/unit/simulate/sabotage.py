"""Builds that lose or double letters, so that the simulator can be seen to notice: each is a way in which the first Lokole did, or nearly so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from lokole.adapters.sync_peer.http import HttpSyncPeer
from lokole.device import run_sync
from lokole.mail.errors import LokoleError, Temporary
from lokole.mailbox import jobs, seen
from lokole.ports.sync_peer import Offered
from lokole.server import intake, outgoing, receive, send, unpack
from lokole.simulate.outside import MailServers

Sabotage = Callable[[pytest.MonkeyPatch], None]


class _AlwaysNew:
    """Stands in for the statement that notes what came before."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement

    def run(self, tx: Any, values: Any) -> int:
        self._statement.run(tx, values)
        return 1


def compare_nothing(patch: pytest.MonkeyPatch) -> None:
    """No loss by itself, but what would mend one (protocol 8.5) is gone."""
    patch.setattr(run_sync, "MOST_COMPARED", 0)


def acknowledge_before_storing(patch: pytest.MonkeyPatch) -> None:
    compare_nothing(patch)
    download = HttpSyncPeer.download

    def careless(self: HttpSyncPeer, offered: Offered, **named: Any) -> Iterator[bytes]:
        self.acknowledge(epoch=offered.epoch, seq=offered.seq, beyond=[])
        return download(self, offered, **named)

    patch.setattr(HttpSyncPeer, "download", careless)


def count_a_package_as_gone_whatever_the_server_said(patch: pytest.MonkeyPatch) -> None:
    compare_nothing(patch)
    upload = HttpSyncPeer.upload

    def careless(self: HttpSyncPeer, *args: Any, **named: Any) -> None:
        with suppress(Temporary):
            upload(self, *args, **named)

    patch.setattr(HttpSyncPeer, "upload", careless)


def forget_what_came_in_before(patch: pytest.MonkeyPatch) -> None:
    made = iter(range(10**9))
    patch.setattr(seen, "_INSERT", _AlwaysNew(seen._INSERT))
    patch.setattr(intake, "_job_key", lambda *_: f"{next(made)}")  # the other thing that would know it


def forget_which_letters_a_box_has_sent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unpack, "find_letter", lambda *_: (None, False))
    patch.setattr(unpack, "remember_letter", lambda *_: None)


def answer_a_post_that_was_not_kept(patch: pytest.MonkeyPatch) -> None:
    take_form = intake.take_form

    def careless(*args: Any, **named: Any) -> None:
        with suppress(Temporary):
            take_form(*args, **named)

    patch.setattr(intake, "take_form", careless)


def finish_work_that_failed_for_now(patch: pytest.MonkeyPatch) -> None:
    fail = jobs.fail

    def careless(tx: Any, mine: Any, **named: Any) -> None:
        if mine.kind == "send":
            jobs.finish(tx, mine)
        else:
            fail(tx, mine, **named)

    patch.setattr(jobs, "fail", careless)


def send_each_attempt_under_a_new_message_id(patch: pytest.MonkeyPatch) -> None:
    to_message = outgoing.to_message
    made = 0

    def careless(*args: Any) -> bytes:
        nonlocal made
        made += 1
        return to_message(*args).replace(b"Message-ID: <", b"Message-ID: <%d." % made, 1)

    patch.setattr(send, "to_message", careless)


def route_by_the_headers(patch: pytest.MonkeyPatch) -> None:
    recipients = receive._recipients

    def careless(row: Any, arrival: Any, email: Any) -> Any:
        named = {one.address for one in (*email.to, *email.cc)}
        return [one for one in recipients(row, arrival, email) if str(one) in named]

    patch.setattr(receive, "_recipients", careless)


def drop_a_letter_that_is_refused_for_now(patch: pytest.MonkeyPatch) -> None:
    hand_over = MailServers.send

    def careless(self: MailServers, **named: Any) -> None:
        with suppress(LokoleError):
            hand_over(self, **named)

    patch.setattr(MailServers, "send", careless)


#: what is wrong with the build, and the faults under which it shows
ALL: dict[Sabotage, str] = {
    acknowledge_before_storing: "answer,box",
    count_a_package_as_gone_whatever_the_server_said: "request,answer",
    forget_what_came_in_before: "post",
    forget_which_letters_a_box_has_sent: "server-dies",
    answer_a_post_that_was_not_kept: "server-full",
    finish_work_that_failed_for_now: "send",
    send_each_attempt_under_a_new_message_id: "send",
    route_by_the_headers: "none",
    drop_a_letter_that_is_refused_for_now: "send",
}
