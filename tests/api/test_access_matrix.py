"""P11: every operation of the server, with everybody's ids, asked by everybody who may not.

The rows are generated from the OpenAPI document and from the web application's map of routes;
an operation without a row in the tables here fails the first tests.
A cell is good when the answer is a refusal and no row and no blob is another than before; a caller who is somebody,
with rights of their own, may change what is their own and nothing else.
Nothing of ours carries a date that runs out: what corresponds to an expired token is a key that was taken back,
a counter that was used, a password or token that is not known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lokole.config import Url
from lokole.mailbox import accounts
from lokole.mailbox import schema as tables
from lokole.server.app import read_document
from lokole.sync.records import AccountRecord
from lokole.sync.signing import body_sha256, encode_key, new_key, public_key, sign_request
from tests.api.test_uploads import begin, package
from tests.fakes.github import FakeGitHub, Organization
from tests.unit.server.place import COVERED, NEIGHBOUR, OPERATOR, BoxAtPlace, Place, message, place_in
from tests.unit.server.test_unpack import archive, line

OUTSIDER = "a-token-of-somebody-in-no-team"
METHODS = ("get", "put", "post", "delete", "head", "patch")
DOCUMENT = read_document()
OPERATIONS = [
    (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in METHODS if method in item
]

#: whoever has none of our rights, and what each of them shows
STRANGERS = (
    "nobody",
    "wrong password",
    "wrong token",
    "outsider",  # whom GitHub knows, and who is in no team of ours
    "forger",  # a key of its own under the id of another box
    "version 1",  # a box of the first Lokole has an id and no key
    "thief",  # the key of a box that was reported stolen
    "removed",  # the key of a box whose domain is served no more
    "replayed",  # a request that the right box has sent before, or one that never was
)
#: those who have rights, which are not rights to this
FOREIGN = ("other box", "other owner")
CALLERS = (*STRANGERS, *FOREIGN)

Cells = Mapping[str, tuple[int, ...]]
#: what an operation answers to a caller, by the kind of right that it wants
PEOPLE: dict[str, tuple[int, ...]] = dict.fromkeys((*STRANGERS, "other box"), (401,))
BOXES: dict[str, tuple[int, ...]] = dict.fromkeys((*STRANGERS, "other owner"), (401,)) | {
    "thief": (403,),
    "removed": (401, 403),
    "replayed": (409,),
}
NEEDS_NOTHING: Cells = {}
SECRET_IN_PATH: Cells = dict.fromkeys(CALLERS, (403,))

#: One row for each operation: who is refused with what. A caller who is not named has a right to it, and changes their own only.
ROWS: dict[tuple[str, str], Cells] = {
    ("GET", "/healthcheck/ping"): NEEDS_NOTHING,
    ("GET", "/healthcheck/ready"): NEEDS_NOTHING,
    ("GET", "/metrics"): dict.fromkeys(CALLERS, (401,)),
    ("GET", "/api/email/register/"): PEOPLE,  # another owner sees the domains of their own
    ("POST", "/api/email/register/"): PEOPLE | {"other owner": (409, 400)},
    ("GET", "/api/email/register/{domain}"): PEOPLE | {"other owner": (403, 404)},
    ("DELETE", "/api/email/register/{domain}"): PEOPLE | {"other owner": (403, 404)},
    ("POST", "/api/email/register/{domain}/owner"): PEOPLE | {"other owner": (403, 404)},
    ("GET", "/api/email/register/{domain}/acts"): PEOPLE | {"other owner": (403, 404)},
    ("GET", "/api/email/register/{domain}/dns"): PEOPLE | {"other owner": (403, 404)},
    ("DELETE", "/api/email/register/{domain}/keys"): PEOPLE | {"other owner": (403, 404)},
    ("GET", "/api/email/register/{domain}/suppressed"): PEOPLE | {"other owner": (403, 404)},
    ("DELETE", "/api/email/register/{domain}/suppressed"): PEOPLE | {"other owner": (400, 403, 404)},
    ("GET", "/api/email/register/{domain}/junk"): PEOPLE | {"other owner": (403, 404)},
    ("POST", "/api/email/register/{domain}/junk"): PEOPLE | {"other owner": (400, 403, 404)},
    ("POST", "/api/email/upload/{client_id}"): SECRET_IN_PATH,
    ("GET", "/api/email/download/{client_id}"): SECRET_IN_PATH,
    ("POST", "/api/email/sendgrid/{client_id}"): SECRET_IN_PATH,
    ("POST", "/api/email/sendgrid/service"): NEEDS_NOTHING,  # kept apart for the operator, and never answered
    ("POST", "/api/email/sendgrid/events"): NEEDS_NOTHING,  # says nothing without the id of a letter
    (
        "GET",
        "/api/email/metrics/pending/{domain}",
    ): NEEDS_NOTHING,  # numbers for the status page, as in the first Lokole
    ("GET", "/api/email/metrics/users/{domain}"): NEEDS_NOTHING,
    ("GET", "/api/email/metrics/trouble"): PEOPLE | {"other owner": (403,)},
    ("GET", "/api/email/metrics/boxes"): PEOPLE,  # another owner sees their own, which are none
    ("GET", "/api/email/metrics/boxes/{domain}"): PEOPLE | {"other owner": (403, 404)},
    # whoever signs in is nobody yet; here nobody may, as no client id is set
    ("POST", "/api/email/github/device"): dict.fromkeys(CALLERS, (404,)),
    ("POST", "/api/email/github/token"): dict.fromkeys(CALLERS, (404,)),
    ("POST", "/api/exchange/claim"): dict.fromkeys(CALLERS, (400, 404, 409)),
    ("GET", "/api/exchange/packages"): BOXES,
    ("GET", "/api/exchange/packages/{sha256}"): BOXES | {"other box": (404,)},
    ("PUT", "/api/exchange/packages/{sha256}"): BOXES,
    ("HEAD", "/api/exchange/packages/{sha256}"): BOXES | {"other box": (404,)},
    ("PATCH", "/api/exchange/packages/{sha256}"): BOXES | {"other box": (404,)},
    ("DELETE", "/api/exchange/packages/{sha256}"): BOXES,
    ("POST", "/api/exchange/digest"): BOXES,
    ("POST", "/api/exchange/carry"): dict.fromkeys(CALLERS, (400,)),
    ("POST", "/api/exchange/ack"): BOXES,
}


@dataclass
class Scene:
    """Boxes that have something, and the ids of it, each of which is foreign to every caller."""

    place: Place
    victim: BoxAtPlace
    other: BoxAtPlace
    thief: BoxAtPlace
    removed: BoxAtPlace
    old: dict[str, Any]
    #: people sign in with GitHub
    github: bool
    down: str
    up: bytes
    begun: str

    def ids(self, path: str) -> list[str]:
        """What stands in the place of the parameter of ``path``."""
        rows = (self.victim, self.thief, self.removed)
        if "{domain}" in path:
            names = [box.domain for box in rows]
            return [
                *names,
                self.old["domain"],
                self.victim.domain.upper(),
                f"{self.victim.domain}.",
                "nothing.lokole.test",
            ]
        if "{client_id}" in path:
            known = [*(box.device_id for box in rows), *(box.domain for box in rows), "x" * 32, "%2e%2e"]
            return known if "/sendgrid/" not in path or not self.speaks_v1 else known[3:]
        if "{sha256}" in path:
            return [self.down, body_sha256(self.up), self.begun, "0" * 64]
        return [""]

    @property
    def speaks_v1(self) -> bool:
        return self.place.ports.settings.v1_boxes


def set_up(place: Place, *, github: bool = False) -> Scene:
    """A victim with a letter that waits, a package held and one begun; a stolen and a removed box that had the like."""
    boxes = []
    for name in ("victim", "thief", "removed"):
        box = place.box(f"{name}.lokole.test", ["ann"])
        place.webhook(box.webhook, message(to=f"ann@{box.domain}"), [f"ann@{box.domain}"])
        boxes.append(box)
    victim, thief, removed = boxes
    (offered,) = victim.offers()
    thief.offers()
    content = archive([line(sender=f"ann@{victim.domain}")])
    victim.put_bytes(content, seq=2)
    begun = package()
    victim.seq = 2
    begin(victim, begun, 20_000)
    other = place.box("other.lokole.test", ["eve"])
    old = place.register("old.lokole.test")
    assert place.client.delete(f"/api/email/register/{thief.domain}/keys", auth=OPERATOR).status_code == 200
    assert place.client.delete(f"/api/email/register/{removed.domain}", auth=OPERATOR).status_code == 200
    return Scene(place, victim, other, thief, removed, old, github, offered["sha256"], content, body_sha256(begun))


@pytest.fixture(params=["no version 1", "version 1 spoken", "GitHub"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    changes: dict[str, Any] = {"metrics_token": "a token for numbers only"}
    with ExitStack() as stack:
        if request.param == "version 1 spoken":
            changes |= {"v1_boxes": True, "exchange": Url(f"folder://{tmp_path}/exchange")}
        if request.param == "GitHub":
            github = stack.enter_context(FakeGitHub())
            github.tokens[NEIGHBOUR] = "neighbour"
            github.organizations["ours"] = Organization({"neighbour", "outsider"}, {"team": {"neighbour"}})
            github.tokens[OUTSIDER] = "outsider"
            changes |= {
                "github_organization": "ours",
                "github_team": "team",
                "github_sudo_team": "sudo",
                "github_url": Url(github.url),
                "adapters": {"identity": None},
            }
        place = stack.enter_context(place_in(tmp_path / "server", **changes))
        yield set_up(place, github=request.param == "GitHub")


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert set(ROWS) == set(OPERATIONS), "an operation without a row in ROWS, or a row without an operation"
    for (method, path), row in ROWS.items():
        wants = {name for one in DOCUMENT["paths"][path][method.lower()].get("security", []) for name in one}
        if "signature" in wants:
            assert {who: row.get(who) for who in ("nobody", "thief")} == {"nobody": (401,), "thief": (403,)}
        elif wants == {"metrics"}:
            assert row == dict.fromkeys(CALLERS, (401,))
        elif wants:
            assert wants == {"basic", "bearer"}
            assert row.items() >= PEOPLE.items()


def test_nobody_reaches_what_is_anothers_and_nothing_changes(scene: Scene) -> None:
    place, other = scene.place, scene.place.row(scene.other.domain).no
    cells = 0
    # what version 1 changes is who is who below /api/email
    asked = {one: row for one, row in ROWS.items() if not scene.speaks_v1 or one[1].startswith("/api/email/")}
    if scene.github:
        asked = {one: row for one, row in ROWS.items() if asks_people(*one)}
    for (method, template), row in asked.items():
        for id_ in scene.ids(template):
            path = template.format(domain=id_, client_id=id_, sha256=id_)
            before, elsewhere = fingerprint(place), fingerprint(place, but=other)
            for who in CALLERS:
                answer = ask(scene, who, method, path)
                allowed = row.get(who)
                if who == "outsider" and scene.github and asks_people(method, template):
                    allowed = (403,)
                assert allowed is None or answer.status_code in allowed, (method, path, who, answer.text)
                assert answer.status_code < 500, (method, path, who, answer.text)
                if who == "other box":
                    assert fingerprint(place, but=other) == elsewhere, (method, path, who, answer.status_code)
                    before = fingerprint(place)
                else:
                    assert fingerprint(place) == before, (method, path, who, answer.status_code)
                if not template.startswith("/api/email/metrics/"):
                    assert "ann" not in answer.text, (method, path, who)
                    assert scene.down not in answer.text, (method, path, who)
                cells += 1
            place.clock.pass_by(minutes=15)  # the limits on guessing are tested elsewhere
    assert cells > (150 if scene.github else 300)
    assert place.pending(scene.victim.domain) == 1, "what waits for the right box waits still"
    assert [one["sha256"] for one in scene.victim.offers()] == [scene.down], "and the right box is let in"


def asks_people(method: str, path: str) -> bool:
    """Whether the operation wants a person who signs in."""
    return {"bearer": []} in DOCUMENT["paths"][path][method.lower()].get("security", [])


def test_the_bytes_of_anothers_package_under_an_own_credential_are_the_own_rubbish(scene: Scene) -> None:
    """Whoever reads the store of packages may say that they are their own; nothing is sent in the victim's name."""
    sent = len(scene.place.world.sent)
    scene.other.put_bytes(scene.up, seq=9)
    sealed = scene.victim.sealed([AccountRecord(f"ann@{scene.victim.domain}", version=9)], 3)
    scene.other.put_bytes(sealed, seq=10)
    assert len(scene.place.world.sent) == sent
    with scene.place.ports.database.read() as tx:
        names = {one.name for one in accounts.list_accounts(tx, scene.place.row(scene.other.domain).no)}
    assert names == {"eve"}
    assert {one.tenant for one in scene.place.quarantined()} == {scene.place.row(scene.other.domain).no}


def test_an_acknowledgement_of_anothers_numbers_touches_the_own_only(scene: Scene) -> None:
    for epoch in range(3):
        scene.other.acknowledge(epoch, 100, range(1, 50))
    (package,) = scene.victim.offers()
    scene.other.acknowledge(package["epoch"], package["seq"])
    assert scene.place.pending(scene.victim.domain) == 1


# --- asking --------------------------------------------------------------------------------------


def ask(scene: Scene, who: str, method: str, path: str) -> httpx2.Response:
    """One request of a caller; what it carries is right but for who asks."""
    place = scene.place
    body, headers = payload(scene, method, path)
    signing: dict[str, Any] = {"body_sha256": path.rpartition("/")[2]} if method in ("PUT", "PATCH") else {}
    if who == "other box":
        return scene.other.call(method, path, body, headers, signing or None)
    if who in ("thief", "removed"):
        return (scene.thief if who == "thief" else scene.removed).call(method, path, body, headers, signing or None)
    asked: dict[str, Any] = {"headers": headers}
    if who == "other owner":
        headers["Authorization"] = f"Bearer {NEIGHBOUR}"
    elif who == "outsider":
        headers["Authorization"] = f"Bearer {OUTSIDER}"
    elif who == "wrong token":
        headers["Authorization"] = f"Bearer {NEIGHBOUR}x"
    elif who == "wrong password":
        asked["auth"] = (OPERATOR[0], "a password of last year")
    elif who != "nobody":
        seed, device, counter = new_key(place.ports.entropy), scene.victim.device_id, 10**6
        if who == "version 1":
            device = scene.old["client_id"]
        elif who == "replayed":
            seed, counter = scene.victim.seed, scene.victim.counter
        signed: dict[str, Any] = {
            "device_id": device,
            "method": method,
            "path_and_query": path,
            "body_sha256": body_sha256(body),
            "counter": counter,
            "headers": {name: value for name, value in headers.items() if name in COVERED.get(method, ())},
        }
        headers["Authorization"] = sign_request(seed, **(signed | signing))
    return place.client.request(method, path, content=body, **asked)


def payload(scene: Scene, method: str, path: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers with which the operation would do something for whoever may."""
    as_json = {"Content-Type": "application/json"}
    if path.endswith("/register/") and method == "POST":
        return json.dumps({"domain": scene.victim.domain}).encode(), as_json
    if path.endswith("/github/token"):
        return b'{"device_code": "a code of nobody"}', as_json
    if path.endswith("/owner"):
        return b'{"owner": "operator"}', as_json
    if "/upload/" in path:
        return b'{"resource_id": "x.tar.gz"}', as_json
    if path.endswith("/claim"):
        said = {"code": "aaaa-bbbb-cccc-dddd", "public_key": encode_key(public_key(scene.victim.seed))}
        return json.dumps(said).encode(), as_json
    if "/sendgrid/" in path:
        return b"email=From%3A+a%40b.test%0A%0Ahello", {"Content-Type": "application/x-www-form-urlencoded"}
    if path.endswith("/digest"):
        return b'{"packages": []}', as_json
    if path.endswith("/ack"):
        (package,) = (one for one in _packages(scene.place) if one.sha256 == scene.down)
        return json.dumps({"epoch": package.epoch, "seq": package.seq}).encode(), as_json
    if path.endswith("/carry"):
        return scene.up, {}
    if method == "PATCH":
        return b"y" * 10, {
            "Content-Type": "application/partial-upload", "Upload-Offset": "20000", "Upload-Complete": "?0",
        }  # fmt: skip
    if method == "PUT":
        return (scene.up if path.endswith(body_sha256(scene.up)) else b"z"), scene.other.upload_headers(1)
    return b"", {}


def _packages(place: Place) -> list[Any]:
    with place.ports.database.read() as tx:
        return list(tx.execute(tables.package.select()))


def fingerprint(place: Place, *, but: int | None = None) -> str:
    """Everything that is stored, but what belongs to the tenant ``but``, the counter of a key, counts of failures,
    and what anybody may leave for the operator: letters from outside to services, which are nobody's."""
    found: dict[str, Any] = {}
    own = None
    with place.ports.database.read() as tx:
        for table in tables.metadata.sorted_tables:
            if table.name in ("limit_count", "event_count"):  # refusals are counted, and written down now and then
                continue
            columns = [one for one in table.columns if (table.name, one.name) not in PROGRESS]
            rows = tx.execute(table.select().with_only_columns(*columns)).mappings()
            found[table.name] = sorted(str(dict(row)) for row in rows if but is None or row.get("tenant") != but)
            if table.name == "quarantine":
                found[table.name] = [one for one in found[table.name] if "'key': 'services:" not in one]
            if table.name == "tenant":
                own = next((row["domain"] for row in tx.execute(table.select()).mappings() if row["no"] == but), None)
                found[table.name] = [one for one in found[table.name] if own is None or f"'{own}'" not in one]
            if but is not None and table.name in NO_TENANT:
                del found[table.name]
    besides = ("services/raw/",) if own is None else ("services/raw/", f"{own}/")
    found["blobs"] = [key for key in sorted(place.ports.blobs.list()) if not key.startswith(besides)]
    found["sent"] = len(place.world.attempts)
    return json.dumps(found)


#: what a rightly signed request moves on whatever it asks for
PROGRESS = {("credential", "counter"), ("credential", "twin_seen_at")}
#: tables whose rows belong to a row of another table, which is compared
NO_TENANT = {table.name for table in tables.metadata.sorted_tables if "tenant" not in table.columns} - {"tenant"}
