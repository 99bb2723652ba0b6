"""Pages in another language are in it from end to end, the catalogues are complete, and a new language needs no programmer."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po, write_po

from lokole.mail.model import DeliveryState
from lokole.mailbox import quarantine, recipients, visits
from lokole.webmail import language, translate
from tests.unit.webmail.conftest import PASSWORD, Box
from tests.unit.webmail.test_access import addresses

ROOT = Path(__file__).parents[3]


def test_the_catalogues_are_complete_and_fresh() -> None:
    assert translate.check(ROOT) == []


def test_no_french_sign_stands_alone_at_the_head_of_a_line() -> None:
    path = ROOT / "src" / "lokole" / "webmail" / "translations" / "fr" / "LC_MESSAGES" / "messages.po"
    texts = [text for one in read_po(io.BytesIO(path.read_bytes())) if one.id for text in _forms(one)]
    assert [text for text in texts if re.search(" [:;!?»]|« ", text)] == []


def _forms(one: Message) -> list[str]:
    return [one.string] if isinstance(one.string, str) else [str(form) for form in one.string or ()]


def test_a_catalogue_with_a_hole_an_unsure_or_a_damaged_sentence_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "translations"
    shutil.copytree(translate._FOLDER, folder)
    monkeypatch.setattr(translate, "_FOLDER", folder)
    path = folder / "fr" / "LC_MESSAGES" / "messages.po"
    whole = path.read_text()
    for before, after, problem in (
        ('msgstr "hier"', 'msgstr ""', "fr: missing: yesterday"),
        ('msgid "yesterday"', '#, fuzzy\nmsgid "yesterday"', "fr: unsure: yesterday"),
        ('msgid "yesterday"', 'msgid "the day before"', "fr: no longer used: the day before"),
        ('msgstr "demain à %(time)s"', 'msgstr "demain à %(heure)s"', "fr: place-holders differ: tomorrow at %(time)s"),
    ):
        assert before in whole
        path.write_text(whole.replace(before, after, 1))
        assert problem in translate.check(ROOT)
    path.write_text(whole.replace('msgstr "hier"', 'msgstr "la veille"', 1))
    assert any("messages.mo is out of date" in problem for problem in translate.check(ROOT))


def english(code: str) -> set[str]:
    """Whole English sentences of the catalogue that are none in the language."""
    with (ROOT / "babel.pot").open("rb") as file:
        ids = [message.id for message in read_po(file) if message.id]
    with (translate._FOLDER / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        same = {message.id for message in read_po(file) if message.id == message.string}
    # each language is named in itself, English too
    plain = {one if isinstance(one, str) else one[1] for one in ids} - same - {"English"}
    return {text for text in plain if len(text) > 3 and "%(" not in text}


@pytest.mark.parametrize("code", ["fr", "ln", "sw"])
def test_translated_pages_hold_no_english(box: Box, code: str) -> None:
    browser = box.signed_in("mireille", code, is_admin=True)
    box.person("joseph")
    no = box.letter("mireille", "Sujet", "<p>Texte")
    browser.open("/email/new").press("send", to="ruth@example.com, jeanne@example.com", subject="Sujet", body="Texte")
    with box.ports.database.write() as tx:
        recipients.set_recipient_state(tx, box.tenant, no + 1, "jeanne@example.com", DeliveryState.REFUSED, "pleine", 1)
        quarantine.quarantine(
            tx, tenant=box.tenant, kind="x", source="x", reason="x", raw_ref=None, key="k", now=box.clock[0]
        )
        visit = visits.start_visit(tx, box.tenant, box.clock[0])
        visits.end_visit(tx, box.tenant, visit, box.clock[0], result="no-connection")
    forbidden = english(code)
    assert len(forbidden) > 150
    outside = box.browser(code)
    every = [address for found in addresses(box, "GET", no, 2).values() for address in found]
    every += [f"/email/new?action={action}&uid={no}" for action in ("reply", "reply_all", "forward")]
    every += ["/email/search?query=rien", "/nothing"]
    every.remove("/design")  # its headings are for whoever works on the looks, and marked as English
    for address in every:
        for looks in (browser, outside):
            looks.open(address)
            if "text/html" not in looks.response.content_type or "/body" in address:
                continue
            assert f"lang={code}" in looks.html
            words = {piece.strip() for piece in re.split(r"<[^>]*>", looks.html) if piece.strip()}
            spoken = set(re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]+)"', looks.html))
            assert not (words | spoken) & forbidden, address


def test_mistakes_are_said_in_french(box: Box) -> None:
    browser = box.browser("fr").open("/user/login").press("Entrer", name="x", password="y")
    assert "Ce n’est pas le bon." in browser.text
    browser.open("/user/register").press("Prendre cette adresse", name="postmaster", password=PASSWORD)
    assert "Ce nom est réservé à Lokole." in browser.text
    browser.press("Prendre cette adresse", name="mireille", password=PASSWORD, own="y")
    assert "Bienvenue. Voici vos lettres reçues." in browser.text
    assert "Bienvenue dans Lokole" in browser.text
    browser.open("/email/new").press("send", to="personne", body="Bonjour")
    assert "Personne ici ne s’appelle « personne »" in browser.text
    box.letter("mireille")
    box.later(days=1)
    assert "hier" in browser.open("/email/inbox").text
    assert "lundi 23 novembre" in browser.open("/email/2").text
    assert "cette nuit" in box.signed_in("joseph", "fr").open("/email/inbox").text or box.departs[0] is None


def test_the_choice_of_a_language_is_kept_with_the_person(box: Box) -> None:
    box.person("mireille")
    browser = box.browser().open("/user/login").press("Français")
    assert browser.address.startswith("/user/login")
    assert "Quel est votre nom" in browser.text
    browser.press("Entrer", name="mireille", password=PASSWORD, own="y")
    # what she chose before entering counts while she is here; her own choice counts from then on
    browser.open("/more").press("Français")
    assert "Plus" in browser.text
    other = box.enter("mireille")
    assert "Reçues" in other.text
    other.press("Quitter")
    assert "Quel est votre nom" in other.text


def test_compiled_languages_are_offered_each_named_in_itself(box: Box) -> None:
    assert language.complete() == {"en": "English", "fr": "Français", "sw": "Kiswahili", "ln": "Lingála"}
    browser = box.browser().open("/user/login")
    for name in language.complete().values():
        assert name in browser.text
    token = browser.token()
    for code in ("de", "xx", "../fr"):
        assert browser.post(f"/user/language/{code}", {"csrf_token": token}).status == 404


def test_a_new_language_needs_pybabel_and_no_programmer(tmp_path: Path) -> None:
    """The commands of docs/translate.md as they stand there, with a machine in the translator's chair."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "babel.pot", tmp_path)
    catalogues = Path("src/lokole/webmail/translations")
    bin_folder = Path(sys.executable).parent

    def run(*command: str, **more: str) -> str:
        environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", **more}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("pybabel", "init", "-i", "babel.pot", "-d", str(catalogues), "-l", "eo")
    path = tmp_path / catalogues / "eo" / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale="eo")
    for message in catalog:
        if message.id == "English":
            message.string = "Esperanto"
        elif isinstance(message.id, str):
            message.string = message.id and f"ĝ{message.id}"
        else:
            message.string = tuple(f"ĝ{text}" for text in message.id)
    with path.open("wb") as out:
        write_po(out, catalog)
    run("pybabel", "compile", "-d", str(catalogues))
    shown = run(sys.executable, "-c", SHOW_SIGN_IN, PYTHONPATH=f"{tmp_path / 'src'}:{ROOT}")
    assert "ĝWhat is your name?" in shown
    assert "lang=eo aria-current=true>Esperanto</button>" in shown
    assert "Français" in shown


SHOW_SIGN_IN = """
import lokole, pathlib, tempfile
from lokole.device.build import web_app
from lokole.testing import village
from lokole.webmail import language
assert "eo" in language.complete(), lokole.__file__
with tempfile.TemporaryDirectory() as folder, village(pathlib.Path(folder)) as place:
    client = web_app(place.box).test_client()
    print(client.get("/user/login", headers={"Accept-Language": "eo"}).text)
"""


def test_times_are_said_as_swahili_says_them(box: Box) -> None:
    browser = box.signed_in("mireille", "sw")
    assert "saa nane (02:00)" in browser.open("/email/new").text
    assert "saa nane" not in box.signed_in("joseph", "fr").open("/email/new").text


def test_the_browser_is_asked_and_english_is_the_last_resort(box: Box) -> None:
    for asked, said in (
        ("fr-CD,fr;q=0.9,en;q=0.5", "Bonjour."),
        ("ln,sw;q=0.9", "Mbote."),
        ("sw-CD,sw;q=0.9", "Habari."),
        ("de", "Hello."),
        ("", "Hello."),
    ):
        assert said in box.browser(asked).open("/user/login").text, asked


def test_numbers_are_written_as_the_language_writes_them(box: Box) -> None:
    for code, said in (("en", "10.5 MB"), ("fr", "10,5 Mo"), ("ln", "10,5 MB")):
        assert said in box.signed_in("p" + code, code).open("/email/new").text
