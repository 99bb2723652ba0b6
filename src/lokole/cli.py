"""The command ``lokole``: reads the environment, calls one function, prints what others script.

Each command imports what it needs when it runs, so that a box needs no package of the server and the other way round.

Exit codes: 0 done; 1 it did not work and will not by itself; 2 wrong usage or settings;
75 it did not work now and may later (``EX_TEMPFAIL`` of sysexits). Errors are one sentence on standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from lokole import __version__
from lokole.config import BadSettings, describe, load
from lokole.mail.errors import LokoleError, Temporary

if TYPE_CHECKING:
    from lokole.device.settings import DeviceSettings
    from lokole.server.settings import ServerSettings

FAILED, USAGE, LATER = 1, 2, 75
#: as ``sync/lines.py`` has them; the ends of file names that stand for one beside their own
FORMATS = ("zstd", "zst", "gz", "bz2", "xz", "tar", "jsonl.gz")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lokole")
def main() -> None:
    """E-mail for places where the internet is there for a few minutes a day."""


# --- programs that run ---------------------------------------------------------------------------


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".lokole/data"),
    show_default=True,
    help="Where everything is kept.",
)
@click.option("--device-port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="The box's pages.")
@click.option("--server-port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The server's API.")
@click.option("--smtp-port", type=click.IntRange(0, 65535), default=2525, show_default=True, help="Mail for the box.")
@click.option("--world-port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="The outside world.")
@click.option("--status-port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="Boxes and pings.")
@click.option("--registration", metavar="USER:PASSWORD", help="Who may register domains; made up when not given.")
@click.option("--demo", is_flag=True, help="With two people and a letter waiting.")
def local(
    data: Path,
    device_port: int,
    server_port: int,
    smtp_port: int,
    world_port: int,
    status_port: int,
    registration: str | None,
    demo: bool,
) -> None:
    """Server, one registered box and a small outside world on this machine, until Ctrl-C."""
    with _sentences("[device,server]"):
        from lokole.local import LocalOptions, run_local

        options = LocalOptions(
            data=data,
            device_port=device_port,
            server_port=server_port,
            smtp_port=smtp_port,
            world_port=world_port,
            status_port=status_port,
            registration=registration,
            demo=demo,
        )
        run_local(options)


@main.group(invoke_without_command=True)
@click.pass_context
def device(context: click.Context) -> None:
    """The box: its pages and its schedule in one process."""
    if context.invoked_subcommand is not None:
        return
    with _sentences("[device]"):
        from lokole.device.build import serve

        serve(_device_settings())


@device.command("admin")
@click.argument("name")
def device_admin(name: str) -> None:
    """Make NAME an administrator and print a one-time password."""
    with _sentences("[device]"):
        from lokole.device.admin import make_admin
        from lokole.device.build import open_box

        with open_box(_device_settings()) as box:
            click.echo(make_admin(box, name))


@device.command("register")
@click.argument("code")
@click.option("--server", "server_url", metavar="URL", help="The server; LOKOLE_SERVER_URL when not given.")
@click.option("--again", is_flag=True, help="The server has taken the key of this box back: make a new one.")
def device_register(code: str, server_url: str | None, again: bool) -> None:
    """Take the row that waits for this box at the server under the one-time CODE."""
    with _sentences("[device]"):
        from lokole.device.build import open_box
        from lokole.device.register import register

        with open_box(_device_settings()) as box:
            click.echo(register(box, code, server_url=server_url, again=again))


@main.group(invoke_without_command=True)
@click.pass_context
def server(context: click.Context) -> None:
    """The server: API, pages, mail from outside, and its work."""
    if context.invoked_subcommand is not None:
        return
    with _sentences("[server]"):
        from lokole.server.build import serve

        serve(_server_settings())


@server.command("dns")
@click.argument("domain")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def server_dns(domain: str, as_json: bool) -> None:
    """Print the DNS records that DOMAIN needs, and look whether the world sees them; ends with 1 when it does not.

    Each line can be entered into a zone file as it is. What follows the semicolon says whether it is there.
    """
    with _sentences("[server]"):
        from lokole.server.commands import checked_records

        found = checked_records(_server_settings(), domain)
        if as_json:
            _print_line({"records": [one.fields() for one in found]})
        for one in [] if as_json else found:
            click.echo(f"{one.wanted.zone_line} ; {one.state}")
            for line in one.found:
                click.echo(f"; there is: {line}")
        if not found:
            _stop("No record is needed, or nobody can know this server: see LOKOLE_MX and LOKOLE_HOST_NAME.", FAILED)
        if any(one.state == "unknown" for one in found):
            _stop("The DNS could not be asked.", LATER)
        if any(one.state != "right" for one in found):
            sys.exit(FAILED)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def doctor(as_json: bool) -> None:
    """Look over the server: settings, database, blobs, work, disk, certificates, providers, boxes and their DNS.

    One line for each thing, with what to do about it. Ends with 1 when something is bad, with 2 when the settings are.
    """
    with _sentences("[server]"):
        from lokole.server.commands import examine_server

        settings = _server_settings()
        found = []
        for one in examine_server(settings):
            found.append(one)
            if not as_json:
                click.echo(one.line)
        is_well = all(one.state != "bad" for one in found)
        if as_json:
            _print_line({"good": is_well, "checks": [one.fields() for one in found]})
        if not is_well:
            sys.exit(FAILED)


@server.command("import-first")
@click.option(
    "--blobs", metavar="URL", required=True, help="Its account of letters: azure://ACCOUNT or folder:///path."
)
@click.option("--tables", metavar="URL", required=True, help="Its account of boxes and of what waits.")
@click.option("--clients", metavar="URL", required=True, help="The account where boxes exchange packages.")
@click.option("--domain", "domains", multiple=True, help="Only this domain; may be given several times.")
@click.option("--dry-run", is_flag=True, help="Read everything and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def server_import_first(
    blobs: str, tables: str, clients: str, domains: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Take in everything of a first Lokole's server; its storage is only read, and a repeat takes what is new.

    Keys come from LOKOLE_FIRST_BLOBS_KEY, LOKOLE_FIRST_TABLES_KEY and LOKOLE_FIRST_CLIENTS_KEY, or files that …_FILE names.
    Ends with 1 when something was left out, and names it.
    """
    with _sentences("[server]"):
        from lokole.server.commands import move_from_first
        from lokole.server.settings import FirstStoreKeys

        report = move_from_first(
            _server_settings(),
            load(FirstStoreKeys, os.environ, others=_all_settings()),
            blobs=blobs,
            tables=tables,
            clients=clients,
            only=domains,
            dry=dry_run,
            say=lambda words: click.echo(f"… {words}", err=True),
        )
        if as_json:
            _print_line(report.fields())
        else:
            for sentence in report.sentences():
                click.echo(sentence)
        if not report.is_whole:
            sys.exit(FAILED)


@server.command("queues")
@click.option(
    "--clear", is_flag=True, help="Delete the broker's queue; the rows stay, and the broker is told of them again."
)
def server_queues(clear: bool) -> None:
    """Print how much work there is of each kind, and how many messages lie at the broker, as lines of JSON."""
    with _sentences("[server]"):
        from lokole.server.commands import queue_lines

        for line in queue_lines(_server_settings(), clear=clear):
            _print_line(line)


@server.command("again")
@click.argument("number", type=int, required=False)
@click.option("--all", "everything", is_flag=True, help="All of it.")
def server_again(number: int | None, everything: bool) -> None:
    """Print what work was given up, as lines of JSON; with NUMBER or --all try it once more.

    It is due at once, and tried as often as new work is. Do it when what made it fail is mended.
    """
    with _sentences("[server]"):
        from lokole.server import again
        from lokole.server.commands import opened

        if number is not None and everything:
            _stop("A number or --all, not both.", USAGE)
        with opened(_server_settings()) as ports:
            if number is not None or everything:
                _print_line({"again": again.try_again(ports, number)})
            else:
                for line in again.given_up_lines(ports):
                    _print_line(line)


@server.command("apart")
@click.argument("number", type=int, required=False)
@click.option(
    "--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write its bytes to a file, which is new."
)
@click.option("--again", "read_again", is_flag=True, help="Read a letter once more that could not be read.")
@click.option("--done", is_flag=True, help="It is dealt with, and listed no more; its bytes stay.")
def server_apart(number: int | None, file: Path | None, read_again: bool, done: bool) -> None:
    """Print what was set apart, as lines of JSON; with NUMBER do with it what the options say.

    A file holds somebody's letter: only you can read it, and it should go when it is of no more use.
    """
    with _sentences("[server]"):
        from lokole.server import again
        from lokole.server.commands import opened

        if (number is not None) != (file is not None or read_again or done):
            _stop("A number, and what to do with it: --to FILE, --again or --done.", USAGE)
        with opened(_server_settings()) as ports:
            if number is None:
                for line in again.apart_lines(ports):
                    _print_line(line)
                return
            if file is not None:
                again.write_bytes(ports, number, file)
            if read_again:
                again.read_again(ports, number)
            if done:
                again.settle(ports, number)


@server.command("empty")
@click.option("--yes", is_flag=True, help="Do not ask for the name of the server.")
@click.option("--with-what-waits", is_flag=True, help="Also while letters, packages or work are on their way.")
def server_empty(yes: bool, with_what_waits: bool) -> None:
    """Delete everything that this server keeps: its domains, people, letters and packages, in the database and in the blobs.

    Stop the server and its workers first. Asks for LOKOLE_HOST_NAME, and refuses while anything is on its way.
    Delete the domains before when their records and settings at providers are to go too.
    """
    with _sentences("[server]"):
        from lokole.server.commands import storage
        from lokole.server.emptying import empty, look_at

        settings = _server_settings()
        with storage(settings) as (database, stores):
            if not yes:
                click.echo(f"{settings.host_name} keeps {look_at(database).sentence}.", err=True)
                if click.prompt("Its name, to delete all of it", default="", err=True) != settings.host_name:
                    _stop("This is not its name. Nothing was deleted.", USAGE)
            gone, blobs = empty(database, stores, with_what_waits=with_what_waits)
        _print_line({"domains": gone.domains, "letters": gone.letters, "blobs": blobs})


@main.command()
def worker() -> None:
    """Work of the server only, beside `lokole server`."""
    with _sentences("[server]"):
        from lokole.server.build import run_worker

        run_worker(_server_settings())


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@click.option(
    "--via",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder, such as a USB stick, instead of the line: take what is there, write what waits.",
)
def sync(as_json: bool, via: Path | None) -> None:
    """Meet the server once, now."""
    with _sentences("[device]"):
        import logging

        from lokole.device.build import open_box

        logging.getLogger("lokole").addHandler(logging.NullHandler())  # what went wrong is said once, below
        with open_box(_device_settings()) as box:
            if via is None:
                report = box.sync()
            else:
                from lokole.device.carrying import sync_via

                report = sync_via(box, via)
        if as_json:
            _print_line(
                {
                    "started": report.started.isoformat(),
                    "seconds": round(report.seconds, 3),
                    "letters_up": report.letters_up,
                    "letters_down": report.letters_down,
                    "bytes_up": report.bytes_up,
                    "bytes_down": report.bytes_down,
                    "quarantined": report.quarantined,
                    "waiting": report.waiting,
                    "result": report.result,
                }
            )
        elif report.result == "ok":
            click.echo(
                f"{report.letters_up} letters up, {report.letters_down} letters down, {report.waiting} waiting; "
                f"{report.bytes_up} bytes up, {report.bytes_down} bytes down in {report.seconds:.1f} seconds."
            )
        if report.result != "ok":
            _stop(_sentence(f"the exchange did not go through ({report.result}): {report.detail}"), LATER)


@main.command()
@click.argument("side", type=click.Choice(["device", "server"]), default="device")
@click.option("--database", metavar="URL", help="The database instead of the one of the settings.")
def migrate(side: str, database: str | None) -> None:
    """Bring the database to the schema of this version; a repeat does nothing."""
    with _sentences("[device] or [server]"):
        from lokole.mailbox.migrate import migrate as bring_up_to_date

        if database is None and side == "server":
            from lokole.server.drivers import database_url

            database = database_url(_server_settings())
        bring_up_to_date(database or _device_settings().database_url)


@main.command()
@click.option("--nights", type=click.IntRange(1), default=20, show_default=True)
@click.option("--boxes", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--seed", type=int, default=None, help="What all chance comes from; a fresh one when not given.")
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="So many simulations, from SEED on."
)
@click.option("--faults", default="all", show_default=True, help="all, none, or names with commas between.")
@click.option(
    "--trace", type=click.File("w", encoding="utf-8"), help="Write every event and the ledger into this file."
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Simulations at the same time.")
def simulate(
    nights: int, boxes: int, seed: int | None, seeds: int, faults: str, trace: IO[str] | None, jobs: int
) -> None:
    """Boxes and their server in one process, with faults, and a ledger of every letter.

    Prints one line of JSON; ends with 1 when a letter was lost or doubled. A letter counts once for each recipient.
    """
    with _sentences("[device,server]"):
        import time
        from dataclasses import replace
        from random import SystemRandom

        from lokole.simulate import Figures, Options, simulate_seeds
        from lokole.simulate.faults import kinds_of
        from lokole.simulate.ledger import problems

        try:
            options = Options(nights=nights, boxes=boxes, faults=kinds_of(faults))
        except ValueError as error:
            _stop(_sentence(error), USAGE)
        first = SystemRandom().randrange(10**9) if seed is None else seed
        if seed is None:
            click.echo(f"seed {first}", err=True)
        figures, started = Figures(), time.monotonic()
        for number, outcome in simulate_seeds(options, range(first, first + seeds), jobs=jobs):
            figures = figures.and_also(outcome.figures)
            for line in problems(outcome.trace):
                click.echo(f"seed {number}: {line}", err=True)
            if trace is not None:
                trace.writelines(f"{line}\n" for line in (f"seed {number}", *outcome.trace))
        _print_line(replace(figures, seconds=time.monotonic() - started).line())
        if not figures.is_good:
            sys.exit(FAILED)


# --- files ---------------------------------------------------------------------------------------


@main.group()
def mail() -> None:
    """Messages in files."""


@mail.command("parse")
@click.argument("file", type=click.File("rb"))
def mail_parse(file: IO[bytes]) -> None:
    """Print the message in FILE as one line of the exchange format."""
    with _sentences():
        import hashlib

        from lokole.mail.mime import parse_email
        from lokole.sync.records import EmailRecord
        from lokole.sync.version1 import write_email_line

        raw = file.read()
        parsed = parse_email(raw, sanitise=False)
        record = EmailRecord(uid=hashlib.sha256(raw).hexdigest(), email=parsed.email)
        sys.stdout.buffer.write(write_email_line(record, own_box=True).rstrip(b"\n") + b"\n")


@main.group()
def package() -> None:
    """Packages in files."""


@package.command("read")
@click.argument("file", type=click.File("rb"))
@click.option("--key", type=click.File("r"), help="For a sealed package: what `lokole package key` prints.")
def package_read(file: BinaryIO, key: IO[str] | None) -> None:
    """Print each record of the package in FILE as a line of JSON."""
    with _sentences():
        from lokole.sync.lines import record_lines
        from lokole.sync.sealed import read_key_file, sealed_record_lines

        out = sys.stdout.buffer
        lines = record_lines(file) if key is None else sealed_record_lines(file, read_key_file(key.read()))
        for line in lines:
            out.write(line)


@package.command("key")
@click.argument("side", type=click.Choice(["device", "server"]))
@click.option("--domain", help="On the server: of the box whose packages are to be checked.")
def package_key(side: str, domain: str | None) -> None:
    """Print the key file for `lokole package read --key`: a secret, and the other end's public key.

    Whoever has it can read all that was sealed to this machine. Keep it where nobody else reads, and delete it afterwards.
    """
    with _sentences("[device] or [server]"):
        if side == "device":
            from lokole.device.build import key_lines as device_lines

            lines = device_lines(_device_settings())
        else:
            from lokole.server.commands import key_lines as server_lines

            lines = server_lines(_server_settings(), domain)
        for line in lines:
            click.echo(line)


@package.command("write")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Told by the end of OUT when not given.")
def package_write(out: Path, form: str | None) -> None:
    """Write the records that come as lines of JSON on standard input into the package OUT."""
    with _sentences():
        from lokole.sync.lines import write_from_lines

        written = write_from_lines(sys.stdin.buffer, out, form or _format_of(out))
        if written.quarantined:
            click.echo(f"Left out {written.quarantined} quarantined lines.", err=True)


def _format_of(path: Path) -> str:
    form = next((form for form in sorted(FORMATS, key=len, reverse=True) if path.name.endswith(f".{form}")), None)
    if form is None:
        form = "gz" if path.suffix == ".tgz" else _stop(f"The end of {path.name} says no format; give --format.", USAGE)
    return form


# --- settings ------------------------------------------------------------------------------------


@main.group()
def config() -> None:
    """Settings: the environment variables LOKOLE_…."""


_side = click.argument("side", type=click.Choice(["device", "server"]), required=False)


@config.command("check")
@_side
def config_check(side: str | None) -> None:
    """Say what is wrong with the settings of this environment, for the device unless told otherwise."""
    with _sentences():
        if side == "server":
            _server_settings()
        else:
            _device_settings()
        click.echo("The settings are complete.")


@config.command("describe")
@_side
def config_describe(side: str | None) -> None:
    """Print every setting with its explanation and its default."""
    from lokole.device.settings import DeviceSettings
    from lokole.server.settings import ServerSettings

    classes = {"device": DeviceSettings, "server": ServerSettings}
    chosen = [side] if side else list(classes)
    for name in chosen:
        if side is None:
            click.echo(f"### The {name}\n")
        click.echo(describe(classes[name]))


# --- what all of them need -----------------------------------------------------------------------


def _device_settings() -> DeviceSettings:
    from lokole.device.settings import DeviceSettings

    return load(DeviceSettings, os.environ, others=_all_settings())


def _server_settings() -> ServerSettings:
    from lokole.server.settings import ServerSettings

    return load(ServerSettings, os.environ, others=_all_settings())


def _all_settings() -> list[type]:
    """All classes of settings: what one program knows is no stranger to another on the same machine."""
    from lokole.device.settings import DeviceSettings
    from lokole.server.settings import FirstStoreKeys, ServerSettings

    return [DeviceSettings, ServerSettings, FirstStoreKeys]


@contextmanager
def _sentences(extra: str | None = None) -> Iterator[None]:
    """Turn the errors of this project, and packages that are not installed, into a sentence and an exit code."""
    try:
        yield
    except BadSettings as error:
        _stop("\n".join(error.problems), USAGE)
    except Temporary as error:
        _stop(_sentence(error), LATER)
    except LokoleError as error:
        _stop(_sentence(error), FAILED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lokole" or extra is None:
            raise
        _stop(f"This needs the package {error.name}: install lokole{extra}.", FAILED)
    except BrokenPipeError:
        # whoever read our output has seen enough; Python would complain once more while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _stop(f"{where}{error.strerror or type(error).__name__}", FAILED)


def _sentence(said: Exception | str) -> str:
    text = str(said) or type(said).__name__
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def _stop(sentence: str, code: int) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(code)


def _print_line(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, separators=(",", ":")))
