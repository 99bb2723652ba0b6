"""What our own SMTP listener asks at each step of a letter: who may come in, who is a recipient here, what is thought of it.

Whatever is only doubtful is answered with 4xx, or taken and kept apart; 5xx is for what would be wrong tomorrow as well.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from datetime import date, timedelta

from lokole.adapters.intake.smtp import OK, Peer, Reply
from lokole.mail.errors import Refused
from lokole.mail.model import Address
from lokole.mailbox import greylist, tenants
from lokole.mailbox.database import Connection
from lokole.ports.judge import Advice, Posted
from lokole.server import intake, judging, strangers
from lokole.server.addresses import home
from lokole.server.judgement import of_opinion
from lokole.server.networks import network_of, read_networks
from lokole.server.ports import ServerPorts
from lokole.server.provider_trouble import tell_operator
from lokole.server.receipts import bounce_id
from lokole.server.smtp_pace import TOO_MANY, Pace
from lokole.server.strangers import OPERATOR_NAMES, Verdict

log = logging.getLogger(__name__)

#: RFC 5321 section 6.3: a letter that passed more mail servers goes in a circle
MOST_HOPS = 100
#: how long a letter is put off that only Rspamd wants put off
_DELAY = timedelta(minutes=5)
_MAX_HEADER = 1024 * 1024
_HOP = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)

#: What an SMTP sender is told about a recipient.
REPLIES: Mapping[Verdict, Reply] = {
    Verdict.HERE: Reply(250, "2.1.5", "known here"),
    Verdict.LATER: Reply(450, "4.2.1", "not known yet, try again after the next visit of that place"),
    Verdict.NOBODY: Reply(550, "5.1.1", "nobody here has this name"),
    Verdict.NO_DOMAIN: Reply(550, "5.7.1", "this domain is not served here"),
    Verdict.MALFORMED: Reply(553, "5.1.3", "this is not an address"),
}
AGAIN = Reply(451, "4.7.1", "come again in a few minutes")
CIRCLE = Reply(554, "5.4.6", "this letter goes in a circle")

_SLOWED = (
    "Mail servers outside were asked to come again because they were too fast; they do, and nothing is lost."
    " If one of them is yours, name its network in LOKOLE_SMTP_EXEMPT; /metrics counts how often it was."
)
_COUNTED = {
    Verdict.NO_DOMAIN: "unknown_client_domain",
    Verdict.NOBODY: "recipient_refused",
    Verdict.LATER: "recipient_put_off",
}


class Edge:
    """One listener's answers; it is the listener's door too."""

    def __init__(self, ports: ServerPorts) -> None:
        settings = ports.settings
        self._ports = ports
        self.pace = Pace(
            ports.clock,
            connections=settings.smtp_connections_a_minute,
            recipients=settings.smtp_recipients_a_minute,
            exempt=read_networks("LOKOLE_SMTP_EXEMPT", settings.smtp_exempt),
        )
        #: whether somebody was too fast since the operator was told, and on which day that was
        self._too_fast = False
        self._told_on: date | None = None

    def enter(self, address: str) -> Reply | None:
        """As ``Door`` says."""
        refusal = self.pace.enter(address)
        if refusal is not None:
            self._too_fast = True
            self._ports.events.count("connection_put_off")
            log.info("turned away, too many connections: %s", address)
        return refusal

    def leave(self, address: str) -> None:
        """As ``Door`` says."""
        self.pace.leave(address)

    def decide(self, peer: Peer, sender: str, recipient: str) -> Reply:
        """Whether ``recipient`` is one here, and now."""
        ports = self._ports
        may_name = self.pace.may_name(peer.address)
        self._too_fast |= not may_name
        self._tell_once_a_day()
        if not may_name:
            ports.events.count("recipient_too_fast")
            return TOO_MANY
        verdict = strangers.decide(ports, sender, recipient)
        if verdict in _COUNTED:
            ports.events.count(_COUNTED[verdict])
        delay = ports.settings.greylist
        if verdict is Verdict.HERE and delay is not None and not self._is_known(peer, sender, recipient, delay):
            return AGAIN
        return REPLIES[verdict]

    def accept(self, peer: Peer, sender: str, recipients: tuple[str, ...], raw: bytes) -> Reply:
        """Take a letter in, unless it should come again; durable when it returns 250."""
        ports = self._ports
        if hops(raw) > MOST_HOPS:
            ports.events.count("letter_in_circle")
            return CIRCLE
        opinion = judging.ask(ports, Posted(sender, recipients, raw, peer.address, peer.helo))
        if opinion.advice is Advice.LATER:
            ports.events.count("letter_put_off")
            return AGAIN
        delay = ports.settings.greylist or _DELAY
        if opinion.advice is Advice.GREYLIST and not self._is_known(peer, sender, recipients[0], delay):
            return AGAIN
        intake.accept_all(ports, sender, recipients, raw, judgement=of_opinion(opinion, sender, raw))
        return OK

    def _tell_once_a_day(self) -> None:
        """Tell the operator that the limits were reached; here and not at the door, which waits for nothing."""
        today = self._ports.clock().date()
        if self._too_fast and self._told_on != today:
            tell_operator(self._ports, _SLOWED, is_urgent=False)
            self._told_on = today
        self._too_fast = False

    def _is_known(self, peer: Peer, sender: str, recipient: str, delay: timedelta) -> bool:
        """Whether who sends here came again after a first try, is somebody whom people here write to, or need not ask; counted when not."""
        ports = self._ports
        if self.pace.is_exempt(peer.address):
            return True
        address = Address.parse(home(ports.settings, recipient))
        if bounce_id(address.local) is not None or address.local.casefold() in OPERATOR_NAMES:
            return (
                True  # the name itself is a secret that a letter of ours carried; and trouble must reach whom it is for
            )
        with ports.database.read() as tx:
            row = tenants.find_tenant(tx, domain=address.domain)
            if row is None or _is_correspondent(tx, row.no, sender):
                return True
        whole = f"{network_of(peer.address, v4=24) or peer.address}\n{sender.casefold()}\n{address.key}"
        digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()
        if greylist.may_pass(ports.database, row.no, digest, delay, ports.clock()):
            return True
        ports.events.count("letter_greylisted")
        return False


def _is_correspondent(tx: Connection, tenant_no: int, sender: str) -> bool:
    try:
        address = Address.parse(sender)
    except Refused:
        return False
    return greylist.is_written_to(tx, tenant_no, str(address), address.key)


def hops(raw: bytes) -> int:
    """How many mail servers a letter has passed, as its own fields say."""
    end = raw.find(b"\r\n\r\n", 0, _MAX_HEADER)
    return sum(1 for _ in _HOP.finditer(raw, 0, end if end >= 0 else min(len(raw), _MAX_HEADER)))
