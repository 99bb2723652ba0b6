"""Letters directly to the mail servers of their recipients: where they go, where they never go, and how fast."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from lokole.adapters.mail_out.mx import MxMailOut
from lokole.adapters.mail_out.mx_lookup import DnsNames, Hop, find_hops, is_public
from lokole.config import Url
from lokole.mail.errors import Permanent, Temporary
from lokole.mailbox.tenants import add_tenant
from lokole.ports.checkable import Checkable
from lokole.server import dkim_keys
from lokole.server.build import build_ports
from tests.dkim_verifier import verify
from tests.servers_mail import free_port
from tests.unit.server.place import settings_for

MESSAGE = b"From: ann@a.lokole.test\r\nSubject: x\r\n\r\nhello\r\n"
HERE = "127.0.0.1"


@dataclass
class Names:
    """A DNS in a dictionary; ``down`` answers nothing."""

    records: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    down: bool = False

    def mx(self, domain: str) -> list[tuple[int, str]] | None:
        if self.down:
            raise Temporary("DNS does not answer")
        known = domain in self.hosts
        return self.records.get(domain, [] if known else None)

    def addresses(self, host: str) -> list[str]:
        return self.hosts.get(host, [])


def hops(names: Names, domain: str = "example.org", *, private: bool = False) -> list[Hop]:
    return find_hops(names, domain, own_name="mail.lokole.test", allow_private=private)


# --- where -------------------------------------------------------------------------------------------------------------


def test_the_best_server_comes_first_with_all_its_addresses() -> None:
    names = Names(
        {"example.org": [(20, "b.example.net"), (10, "a.example.net")]},
        {"a.example.net": ["192.0.43.1", "2606:2800:220:1::1"], "b.example.net": ["192.0.43.2"]},
    )
    assert [hop.address for hop in hops(names)] == ["192.0.43.1", "2606:2800:220:1::1", "192.0.43.2"]


def test_without_mx_the_domain_itself_takes_its_mail() -> None:
    assert hops(Names(hosts={"example.org": ["192.0.43.1"]})) == [Hop("example.org", "192.0.43.1")]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (Names(), "5.1.2"),
        (Names({"example.org": [(0, "")]}, {"example.org": ["192.0.43.1"]}), "5.1.10"),
        (Names({"example.org": [(0, ".")]}), "5.1.10"),
        (Names({"example.org": [(10, "gone.example.net")]}, {"example.org": ["192.0.43.1"]}), "5.4.4"),
        (Names({"example.org": [(10, "localhost")]}, {"localhost": ["192.0.43.1"]}), "5.4.4"),
        (Names({"example.org": [(10, "a.example.net")]}, {"a.example.net": ["127.0.0.1", "10.1.2.3", "::1"]}), "5.4.4"),
        (Names({"example.org": [(10, "mail.lokole.test")]}, {"mail.lokole.test": ["192.0.43.1"]}), "5.4.6"),
        (
            Names(
                {"example.org": [(10, "mail.lokole.test"), (20, "b.example.net")]}, {"b.example.net": ["192.0.43.1"]}
            ),
            "5.4.6",
        ),
    ],
)
def test_where_nothing_can_ever_go_is_permanent(names: Names, reason: str) -> None:
    with pytest.raises(Permanent) as caught:
        hops(names)
    assert caught.value.reason.split()[0] == reason


def test_servers_before_ours_in_the_list_are_asked() -> None:
    names = Names({"example.org": [(10, "a.example.net"), (20, "mail.lokole.test")]}, {"a.example.net": ["192.0.43.1"]})
    assert [hop.host for hop in hops(names)] == ["a.example.net"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "192.0.2.1", "2001:db8::1", "nonsense", "",
    ],
)  # fmt: skip
def test_private_addresses_are_no_next_hop(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(Permanent):
        hops(Names(hosts={"example.org": [address]}))


def test_public_addresses_are() -> None:
    for address in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"):
        assert is_public(address)


# --- the dialogue ------------------------------------------------------------------------------------------------------


class Server:
    """A mail server that counts, and answers RCPT as it is told."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.letters: list[tuple[str, bytes]] = []
        self.in_tls: list[bool] = []
        self.answer = "250 fine"
        self.open = self.most_open = 0
        self.held: threading.Event | None = None
        self._tls = tls
        self._controller: Controller | None = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.letters.append((envelope.rcpt_tos[0], envelope.content))
        self.in_tls.append(session.ssl is not None)
        return "250 taken"

    def start(self, port: int) -> None:
        tls = self._tls

        class Control(Controller):
            def factory(self) -> SMTP:
                return SMTP(self.handler, tls_context=tls, hostname="mx.example.net")

        self._controller = Control(self, hostname=HERE, port=port, ready_timeout=30)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()


@contextmanager
def running(server: Server) -> Iterator[int]:
    port = free_port()
    server.start(port)
    try:
        yield port
    finally:
        server.stop()


def out(port: int, names: Names | None = None, **more: Any) -> MxMailOut:
    names = names or Names({"example.org": [(10, "mx.example.net")]}, {"mx.example.net": [HERE]})
    given: dict[str, Any] = {"host_name": "mail.lokole.test", "port": port, "allow_private": True, "timeout": 3.0}
    return MxMailOut(names, **(given | more))


def send(way: MxMailOut, recipient: str = "bob@example.org") -> None:
    way.send(sender="bounce-x@a.lokole.test", recipient=recipient, message=MESSAGE)


def test_a_letter_arrives_at_the_first_server_that_answers() -> None:
    server = Server()
    with running(server) as port:
        names = Names(
            {"example.org": [(5, "dead.example.net"), (10, "mx.example.net")]},
            {"dead.example.net": ["127.0.0.2"], "mx.example.net": [HERE]},
        )
        send(out(port, names))
    assert [one for one, _ in server.letters] == ["bob@example.org"]
    assert server.letters[0][1].replace(b"\r\n", b"\n") == MESSAGE.replace(b"\r\n", b"\n")


def test_nothing_goes_to_this_machine_unless_the_settings_say_so() -> None:
    server = Server()
    with running(server) as port, pytest.raises(Permanent):
        send(out(port, allow_private=False))
    assert server.letters == []


def test_what_the_server_says_counts_and_no_server_is_temporary() -> None:
    server = Server()
    with running(server) as port:
        server.answer = "550 5.1.1 nobody"
        with pytest.raises(Permanent) as never:
            send(out(port))
        server.answer = "450 4.7.1 later"
        with pytest.raises(Temporary):
            send(out(port))
    assert never.value.reason == "550 5.1.1 nobody"
    with pytest.raises(Temporary):
        send(out(free_port()))
    with pytest.raises(Temporary):
        send(out(1, Names(down=True)))
    with pytest.raises(Permanent):
        send(out(1), "no address")


def test_whether_letters_can_leave_is_tried_at_a_known_domain_without_a_letter() -> None:
    server = Server()
    with running(server) as port:
        assert out(port, tried="example.org").check() == f"the mail server of example.org is reached at port {port}"
        assert "not tried" in out(port).check()
    assert server.letters == []
    closed = free_port()
    with pytest.raises(Temporary, match=f"no mail server of example.org is reached at port {closed}"):
        out(closed, tried="example.org").check()
    with pytest.raises(Permanent):
        out(closed, tried="example.com").check()


def test_the_domain_of_who_hears_alarms_is_the_one_that_is_tried(tmp_path: Path) -> None:
    zone = {("example.org", "MX"): ["10 mx.example.net."], ("mx.example.net", "A"): [HERE]}
    with running(Server()) as smtp, dns_server(zone) as port:
        way = Url(f"mx://{HERE}:{port}?smtp={smtp}")
        ports = build_ports(settings_for(tmp_path, mail_out=way, mx_private=True, alarm_to=("ops@example.org",)))
        assert isinstance(ports.mail_out, Checkable)  # what signs asks the way behind it
        assert ports.mail_out.check() == f"the mail server of example.org is reached at port {smtp}"
        ports.database.close()


def test_tls_is_used_when_it_is_offered_whoever_signed_it(certificate: tuple[str, str]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    server = Server(context)
    with running(server) as port:
        send(out(port))
    assert server.in_tls == [True]


def test_a_server_whose_tls_is_broken_gets_the_letter_without() -> None:
    broken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # it has no certificate
    server = Server(broken)
    with running(server) as port:
        send(out(port))
    assert server.in_tls == [False]


def test_the_pace_of_a_domain_holds_letters_apart_and_those_of_others_not() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    server = Server()
    with running(server) as port:
        names = Names(hosts={"example.org": [HERE], "example.com": [HERE], "example.net": [HERE]})
        way = out(port, names, pace=2.0, seconds=lambda: now[0], sleep=sleep)
        send(way)
        send(way, "eve@example.com")
        assert slept == []
        send(way)
        assert slept == [2.0]
        slow = out(port, names, pace=60.0, seconds=lambda: now[0], sleep=sleep)
        send(slow)
        with pytest.raises(Temporary) as caught:
            send(slow)
        assert caught.value.retry_after == 60.0
    assert len(server.letters) == 4


def test_there_is_one_connection_at_a_time_to_a_domain() -> None:
    names = Names(hosts={"example.org": [HERE]})
    at_once = most = 0
    lock = threading.Lock()
    server = Server()

    class Counting(Names):
        def mx(self, domain: str) -> list[tuple[int, str]] | None:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            threading.Event().wait(0.02)
            with lock:
                at_once -= 1
            return names.mx(domain)

    with running(server) as port:
        way = out(port, Counting(hosts=names.hosts))
        threads = [threading.Thread(target=send, args=(way,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.letters) == 6
    assert most == 1


# --- DNS ---------------------------------------------------------------------------------------------------------------


class _Dns(socketserver.BaseRequestHandler):
    answer: Callable[[dns.message.Message], dns.message.Message | None]

    def handle(self) -> None:
        data, socket = self.request
        reply = type(self).answer(dns.message.from_wire(data))
        if reply is not None:
            socket.sendto(reply.to_wire(), self.client_address)


@contextmanager
def dns_server(zone: dict[tuple[str, str], list[str]], *, trouble: str = "") -> Iterator[int]:
    """A name server for ``zone``: (name, type) to values; ``trouble`` is ``servfail`` or ``silent``."""
    known = {name for name, _ in zone}

    def answer(query: dns.message.Message) -> dns.message.Message | None:
        reply = dns.message.make_response(query)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        if trouble == "silent":
            return None
        if trouble == "servfail":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in zone:
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *zone[name, kind]))
        elif name not in known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        reply.flags |= dns.flags.RA
        return reply

    handler = type("Handler", (_Dns,), {"answer": staticmethod(answer)})
    with socketserver.ThreadingUDPServer((HERE, 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def test_real_answers_of_a_name_server() -> None:
    zone = {
        ("example.org", "MX"): ["20 B.example.net.", "10 a.example.net."],
        ("null.example.org", "MX"): ["0 ."],
        ("bare.example.org", "A"): ["192.0.43.7"],
        ("a.example.net", "A"): ["192.0.43.1"],
        ("a.example.net", "AAAA"): ["2606:2800:220:1::1"],
    }
    with dns_server(zone) as port:
        names = DnsNames(HERE, port, lifetime=2)
        assert sorted(names.mx("example.org") or []) == [(10, "a.example.net"), (20, "b.example.net")]
        assert names.mx("bare.example.org") == []
        assert names.mx("nothing.example.org") is None
        assert names.addresses("a.example.net") == ["192.0.43.1", "2606:2800:220:1::1"]
        assert names.addresses("nothing.example.org") == []
        with pytest.raises(Permanent, match="takes no mail"):
            find_hops(names, "null.example.org", own_name="x", allow_private=True)
    for trouble in ("servfail", "silent"):
        with dns_server(zone, trouble=trouble) as port:
            names = DnsNames(HERE, port, lifetime=0.5)
            for ask in (names.mx, names.addresses):
                with pytest.raises(Temporary):
                    ask("example.org")


def test_it_is_read_from_the_settings_and_finds_its_way() -> None:
    server = Server()
    zone = {("example.org", "MX"): ["10 mx.example.net."], ("mx.example.net", "A"): [HERE]}
    with running(server) as smtp, dns_server(zone) as port:
        url = f"mx://{HERE}:{port}?smtp={smtp}"
        send(MxMailOut.from_url(url, host_name="mail.lokole.test", pace=0, allow_private=True))
    assert len(server.letters) == 1
    for wrong in ("smtp://x", "mx:?smtp=x"):
        with pytest.raises(ValueError, match=r"mx:|smtp="):
            MxMailOut.from_url(wrong, host_name="x", pace=0, allow_private=True)


def test_a_server_with_these_settings_signs_what_it_sends(tmp_path: Path) -> None:
    server = Server()
    zone = {("example.org", "MX"): ["10 mx.example.net."], ("mx.example.net", "A"): [HERE]}
    with running(server) as smtp, dns_server(zone) as port:
        way = Url(f"mx://{HERE}:{port}?smtp={smtp}")
        ports = build_ports(settings_for(tmp_path, mail_out=way, mx_private=True, dkim_selector="box"))
        with ports.database.write() as tx:
            add_tenant(
                tx,
                domain="a.lokole.test",
                device_id="d1",
                owner="o",
                state="waiting",
                webhook_secret="w",
                claim_code="c",
                v1=False,
                v1_container=None,
                now=ports.clock(),
            )
        ports.mail_out.send(sender="", recipient="bob@example.org", message=MESSAGE)
        records = {
            one.name: one.content for one in dkim_keys.dkim_records(ports.database, ports.settings, "a.lokole.test")
        }
        ports.database.close()
    (arrived,) = [content for _, content in server.letters]
    assert [(one.selector, one.holds) for one in verify(arrived, records)] == [("box", True)]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that nobody has signed, and its key."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody.else.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    folder: Path = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")
