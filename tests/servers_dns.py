"""A real name server for tests: dnsmasq, which knows the records it is told and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.servers_mail import cannot_start, free_port, stop, wait_for_port


@contextmanager
def name_server(
    *, mx: Mapping[str, Sequence[tuple[int, str]]] | None = None, txt: Sequence[tuple[str, str]] = ()
) -> Iterator[int]:
    """A name server on 127.0.0.1 for the test's zones (``.test``, ``.example``, ``.ca``); gives its port."""
    program = shutil.which("dnsmasq", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        cannot_start("dnsmasq is not installed here (`make setup-test` installs it).")
    port = free_port()
    lines = [f"port={port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "no-daemon"]
    lines += ["user=", "pid-file", "cache-size=0", *(f"local=/{zone}/" for zone in ("test", "example", "ca"))]
    for domain, hosts in (mx or {}).items():
        lines += [f"mx-host={domain},{host},{priority}" for priority, host in hosts]
    for name, text in txt:
        pieces = [text[at : at + 255] for at in range(0, len(text), 255)]
        lines.append(",".join([f"txt-record={name}", *(f'"{piece}"' for piece in pieces)]))
    process = subprocess.Popen(
        [program, "--conf-file=-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    try:
        process.stdin.write("\n".join(lines).encode() + b"\n")
        process.stdin.close()
        wait_for_port(port, process)
        yield port
    finally:
        stop(process)
