"""Real mail servers and a real browser for tests: Postfix, Dovecot, Chromium.

Each is a context manager that takes free ports and a folder of its own, waits until the thing answers,
and ends the processes it started.
What a machine cannot start skips the test with a sentence; where CI is set it fails instead.
It does not start PostgreSQL or Azurite (``tests/servers.py``) and nothing of Lokole's own (``tests/e2e/processes.py``).
"""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page
    from playwright.sync_api._generated import LocatorAssertions

SCREENSHOTS = Path(__file__).resolve().parent.parent / "build" / "screenshots"
#: Chromium as root in a container needs the first two; the rest keeps it from calling home.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def cannot_start(what: str) -> NoReturn:
    """Skip the test with the sentence ``what``; in CI everything has to be there, so it fails."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def free_port() -> int:
    """A TCP port of the loopback interface that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None, *, seconds: float = 30) -> None:
    """Return as soon as something accepts connections on ``port``; raises RuntimeError when ``process`` ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode} before it listened on port {port}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listened on port {port} within {seconds} s")


def stop(process: subprocess.Popen[bytes], *, seconds: float = 10) -> int:
    """End ``process`` politely, then for sure, its children with it when it leads a group; returns its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        cannot_start(f"{name} is not installed here (`make setup-test` installs it).")
    return found


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        cannot_start(f"{what} changes to users of its own, which only root may do.")


# Dovecot


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot that takes letters for anybody over LMTP and shows them over IMAP; every password is ``secret``."""

    imap_port: int
    lmtp_port: int

    def letters(self, address: str, *, at_least: int = 1, seconds: float = 30) -> list[bytes]:
        """The raw letters of ``address``, read over IMAP as soon as there are ``at_least`` that many; fewer when time is up."""
        deadline = time.monotonic() + seconds
        while True:
            found = self._fetch(address)
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def _fetch(self, address: str) -> list[bytes]:
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=20) as imap:
            imap.login(address, "secret")
            imap.select("INBOX", readonly=True)
            _, numbers = imap.search(None, "ALL")
            letters: list[bytes] = []
            for number in (numbers[0] or b"").split():
                _, parts = imap.fetch(number.decode(), "(BODY.PEEK[])")
                letters += [part[1] for part in parts if isinstance(part, tuple)]
            return letters


_DOVECOT = """
{dialect}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
info_log_path = {folder}/log
instance_name = lokole-test-{imap_port}
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
auth_mechanisms = plain login
first_valid_uid = 1
default_login_user = dovenull
default_internal_user = dovecot
service imap-login {{
  inet_listener imap {{
    {listen} = 127.0.0.1
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    {listen} = 127.0.0.1
    port = {lmtp_port}
  }}
}}
"""

# Debian 12 and Ubuntu 24.04 have 2.3, Debian 13 has 2.4, which renamed half of its settings.
_DOVECOT_2_3 = """
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u allow_all_users=yes
}}
"""
_DOVECOT_2_4 = """
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail/%{{user}}
passdb static {{
  password = secret
}}
userdb static {{
  allow_all_users = yes
  fields {{
    uid = mail
    gid = mail
    home = {folder}/mail/%{{user}}
  }}
}}
"""


def _dovecot_settings(program: str, folder: Path, server: Dovecot) -> str:
    version = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    old = version.startswith(("2.2.", "2.3."))
    # the version of the file has to be its first setting
    return _DOVECOT.format(
        dialect=(_DOVECOT_2_3 if old else _DOVECOT_2_4).format(folder=folder),
        listen="address" if old else "listen",
        folder=folder,
        imap_port=server.imap_port,
        lmtp_port=server.lmtp_port,
    )


@contextmanager
def dovecot() -> Iterator[Dovecot]:
    """A Dovecot with a folder and ports of its own."""
    _need_root("Dovecot")
    program = _program("dovecot")
    with _folder_for_others("dovecot") as folder:
        for name in ("mail", "run"):
            (folder / name).mkdir()
        shutil.chown(folder / "mail", "mail", "mail")
        server = Dovecot(imap_port=free_port(), lmtp_port=free_port())
        settings = folder / "dovecot.conf"
        settings.write_text(_dovecot_settings(program, folder, server))
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen([program, "-F", "-c", settings], stdout=out, stderr=out)
        try:
            wait_for_port(server.imap_port, process)
            wait_for_port(server.lmtp_port, process)
            yield server
        finally:
            stop(process)


# Postfix


@dataclass(frozen=True)
class Postfix:
    """A running Postfix; whatever it may not deliver elsewhere it refuses."""

    smtp_port: int
    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "etc"

    def queue(self) -> list[dict[str, object]]:
        """What waits in its queue, as ``postqueue -j`` tells: ``queue_name``, ``recipients`` with ``delay_reason``, …"""
        told = subprocess.run([_program("postqueue"), "-c", self.settings, "-j"], capture_output=True, check=True)
        return [json.loads(line) for line in told.stdout.splitlines() if line.strip()]

    def flush(self) -> None:
        """Try everything in the queue again, now."""
        subprocess.run([_program("postqueue"), "-c", self.settings, "-f"], check=True, capture_output=True)

    def log(self) -> str:
        """All it has logged so far."""
        return (self.folder / "out").read_text(errors="replace")


_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.test
mydomain = test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = {mailbox_domains}
virtual_transport = lmtp:inet:127.0.0.1:{lmtp_port}
relay_domains = {relay_domains}
transport_maps = inline:{{ {transports} }}
smtpd_recipient_restrictions = permit_auth_destination,reject
smtpd_delay_reject = yes
smtp_tls_security_level = none
smtp_dns_support_level = disabled
smtputf8_enable = yes
maillog_file = /dev/stdout
message_size_limit = 41943040
mailbox_size_limit = 0
virtual_mailbox_limit = 0
# a letter put off is tried again when the test says so, not by the clock
queue_run_delay = 1h
minimal_backoff_time = 1s
maximal_backoff_time = 1h
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
alias_maps =
local_transport = error:nobody is local here
"""

_MASTER_CF = """
{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


@contextmanager
def postfix(*, mailboxes: Mapping[str, int], relays: Mapping[str, int]) -> Iterator[Postfix]:
    """A Postfix with a folder and a port of its own.

    ``mailboxes`` names the domains it hands over by LMTP and the port of each (one port for all),
    ``relays`` those it hands on by SMTP, with the port of the server that takes them.
    """
    _need_root("Postfix")
    program = _program("postfix")
    with _folder_for_others("postfix") as folder:
        server = Postfix(smtp_port=free_port(), folder=folder)
        for name in ("etc", "spool", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix", "root")
        transports = " ".join(f"{{ {domain} = smtp:[127.0.0.1]:{port} }}" for domain, port in relays.items())
        (server.settings / "main.cf").write_text(
            _MAIN_CF.format(
                folder=folder,
                mailbox_domains=" ".join(mailboxes),
                lmtp_port=next(iter(mailboxes.values()), 0),
                relay_domains=" ".join(relays),
                transports=transports,
            )
        )
        (server.settings / "master.cf").write_text(_MASTER_CF.format(port=f"127.0.0.1:{server.smtp_port}"))
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen([program, "-c", server.settings, "start-fg"], stdout=out, stderr=out)
        try:
            wait_for_port(server.smtp_port, process)
            yield server
        except RuntimeError as error:
            error.add_note(server.log())
            raise
        finally:
            subprocess.run([program, "-c", server.settings, "stop"], capture_output=True, check=False)
            stop(process)


# Chromium


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A headless Chromium of the system, driven by Playwright; ``flags`` are added to its command line."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        cannot_start("Chromium is not installed here (`make setup-test` installs it).")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*CHROMIUM_FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


def expect(what: Locator) -> LocatorAssertions:
    """Playwright's assertions, which wait: a click returns before the page that it leads to is there."""
    from playwright.sync_api import expect as of_playwright

    return of_playwright(what)


def follow(what: Locator, *, key: str = "") -> None:
    """Touch (or press ``key`` on) what leads to another page, and wait until that is there: a click alone returns before."""
    with what.page.expect_navigation():
        if key:
            what.press(key)
        else:
            what.click()


def in_whole(page: Page, script: str, argument: object = None) -> Any:
    """What ``script`` says of the page, asked when the page is there in whole: one that is coming in has neither root nor width."""
    from playwright.sync_api import Error

    deadline = time.monotonic() + 15
    while True:
        try:
            if page.evaluate("document.readyState") == "complete":
                return page.evaluate(script, argument)
        except Error as error:  # the page went away for the next one while it was asked
            if "context was destroyed" not in str(error):
                raise
        assert time.monotonic() < deadline, f"{page.url} did not come in whole"
        page.wait_for_timeout(20)


def photograph(page: Page, name: str) -> None:
    """Keep a picture of the whole page as output of the test. JPEG: a hundred of them as PNG take longer than the tests around them."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg", quality=70, full_page=True)


@contextmanager
def _folder_for_others(name: str) -> Iterator[Path]:
    """A folder that servers with users of their own can reach, which pytest's own are not: it closes them to others again and again."""
    with tempfile.TemporaryDirectory(prefix=f"lokole-{name}-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
