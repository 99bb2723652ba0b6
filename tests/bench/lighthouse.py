"""``make lighthouse``: Lighthouse's scores of the pages, median of five, on a slow 4G line and a mid-range telephone (simulated).

One JSON line for each page and category, 0 to 100; with names of pages as arguments, only for those. Outside ``make test`` and ``make bench``: performance is wall-clock time.
Exits with 1 when accessibility or best practices are below 100 or performance below 95.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.mailbox import PASSWORD, PERSON, FilledMailbox
from tests.corpus import REPOSITORY
from tests.e2e.processes import device

RUNS = 5
LEAST = {"accessibility": 100, "best-practices": 100, "performance": 95}
PAGES = {"start": "/", "sign_in": "/user/login", "sign_up": "/user/register"}
SIGNED_IN = {
    "inbox": "/email/inbox",
    "write": "/email/new",
    "waiting": "/email/outbox",
    "more": "/more",
    "letter": "/email/101",
    "folders": "/email/folders",
    "search": "/email/search",
    "board": "/board",
    "directory": "/users",
    "contacts": "/contacts",
    "profile": "/user/profile",
    "letter_settings": "/user/letters",
    "admin": "/admin",
    "admin_people": "/admin/people",
    "admin_person": "/admin/people/1",
    "admin_limits": "/admin/limits",
    "admin_hours": "/admin/schedule",
    "admin_doors": "/admin/doors",
}
_LETTERS = 500
_FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"


def main(names: list[str]) -> int:
    pages = {name: path for name, path in {**PAGES, **SIGNED_IN}.items() if not names or name in names}
    if set(names) - set(pages):
        print(f"There is no page {', '.join(sorted(set(names) - set(pages)))}.", file=sys.stderr)
        return 2
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    script = REPOSITORY / "node_modules" / "lighthouse" / "cli" / "index.js"
    if chromium is None or not script.exists():
        print("Lighthouse or Chromium is missing: `make setup-test` brings both.", file=sys.stderr)
        return 77
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        mailbox = FilledMailbox(Path(box.settings["LOKOLE_DATA"]))
        mailbox.fill(_LETTERS)
        mailbox.look_after()
        mailbox.close()
        with box.pages() as visitor:
            answer = visitor.post("/user/login", {"name": PERSON, "password": PASSWORD})
            assert answer.status == 303, answer.status
            for name, path in pages.items():
                cookie = visitor.cookie_header() if name in SIGNED_IN else ""
                scores = [_scores(script, chromium, box.url + path, cookie) for _ in range(RUNS)]
                for category, least in LEAST.items():
                    value = statistics.median(one[category] for one in scores)
                    print(json.dumps({"name": f"lighthouse_{name}_{category}", "value": value, "unit": "of 100"}))
                    missed |= value < least
                sys.stdout.flush()
    return 1 if missed else 0


def _scores(script: Path, chromium: str, url: str, cookie: str) -> dict[str, float]:
    node = Path(sys.executable).parent / "node"
    command = [
        str(node),
        str(script),
        url,
        "--quiet",
        "--output=json",
        f"--chrome-flags={_FLAGS}",
        f"--only-categories={','.join(LEAST)}",
    ]
    if cookie:
        command.append(f"--extra-headers={json.dumps({'Cookie': cookie})}")
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "CHROME_PATH": chromium}, timeout=180
    )
    report = json.loads(done.stdout)
    return {name: 100 * (report["categories"][name]["score"] or 0) for name in LEAST}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
