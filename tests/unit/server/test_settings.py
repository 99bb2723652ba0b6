"""The server's settings: what stops the start, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lokole.adapters.blobs.open import open_blobs
from lokole.config import BadSettings, describe, load
from lokole.server.settings import ServerSettings

NEEDED = {
    "LOKOLE_REGISTRATION_USERNAME": "operator",
    "LOKOLE_REGISTRATION_PASSWORD": "long enough",
    "LOKOLE_MAIL_OUT": "smtp://relay:25",
}


def test_three_settings_are_enough() -> None:
    settings = load(ServerSettings, NEEDED)
    assert settings.database_url == "sqlite:////var/lib/lokole-server/lokole.db"
    assert settings.blobs_url == "folder:///var/lib/lokole-server/blobs"
    assert settings.max_letter_bytes == 30 * 2**20
    assert not settings.console and not settings.v1_boxes


def test_a_folder_of_any_name_holds_the_blobs(tmp_path: Path) -> None:
    data = tmp_path / "50% of #1 ?"
    settings = load(ServerSettings, NEEDED | {"LOKOLE_DATA": str(data)})
    open_blobs(settings.blobs_url).put("a.test/x", b"content")
    assert (data / "blobs/a.test/x").read_bytes() == b"content"


@pytest.mark.parametrize("name", NEEDED)
def test_each_of_them_is_missed_by_name(name: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(ServerSettings, {key: value for key, value in NEEDED.items() if key != name})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOKOLE_REGISTRATION_PASSWORD", "short"),
        ("LOKOLE_SESSION_KEY", "short"),
        ("LOKOLE_MAIL_OUT", "http://relay"),
        ("LOKOLE_JOBS", "threads:"),
        ("LOKOLE_DNS", "bind:"),
        ("LOKOLE_LISTEN", "8080"),
        ("LOKOLE_SMTP_LISTEN", "none"),
        ("LOKOLE_WORKERS", "65"),
        ("LOKOLE_MAX_LETTER_MB", "0"),
        ("LOKOLE_V1_BOXES", "yes"),
        ("LOKOLE_SMTP_TLS_KEY", "/key.pem"),
        ("LOKOLE_EXCHANGE", "s3://bucket"),
        ("LOKOLE_REGISTRATION_TEAM", "operators"),
        ("LOKOLE_GITHUB_URL", "http://github.example/graphql"),
        ("LOKOLE_DNS", "cloudflare:"),
        ("LOKOLE_CLOUDFLARE_KEY", "a global key without its user"),
        ("LOKOLE_CLOUDFLARE_URL", "ftp://x"),
        ("LOKOLE_INTAKE", "sendgrid:"),
        ("LOKOLE_ADDRESS", "http://mail.example.org"),
        ("LOKOLE_METRICS_TOKEN", "short"),
        ("LOKOLE_ALARM_TO", "ops@example.org,nobody"),
        ("LOKOLE_ALARM_WEBHOOK", "file:///etc/passwd"),
        ("LOKOLE_ALARM_NIGHTS", "0"),
        ("LOKOLE_RECIPIENTS_A_DAY", "-1"),
        ("LOKOLE_SPF", "include:sendgrid.net"),
        ("LOKOLE_DMARC", "p=none"),
        ("LOKOLE_RESOLVER", "9.9.9.9"),
    ],
)
def test_what_cannot_be_stops_the_start_with_its_name_and_no_secret(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(ServerSettings, {**NEEDED, name: value})
    assert name in str(caught.value)
    if "PASSWORD" in name or ("KEY" in name and "TLS" not in name):
        assert value not in str(caught.value).replace("too short", "")


def test_a_person_writes_to_two_hundred_a_day_unless_the_operator_says_otherwise() -> None:
    assert load(ServerSettings, NEEDED).recipients_a_day == 200
    assert load(ServerSettings, {**NEEDED, "LOKOLE_RECIPIENTS_A_DAY": "0"}).recipients_a_day == 0


def test_names_of_the_first_lokole_are_kept() -> None:
    kept = ("LOKOLE_SENDGRID_KEY", "LOKOLE_CLOUDFLARE_USER", "LOKOLE_CLOUDFLARE_KEY", "OPWEN_SESSION_KEY")
    settings = load(ServerSettings, NEEDED | dict.fromkeys(kept, "a value that is long"))
    assert settings.session_key == "a value that is long"
    assert "LOKOLE_SENDGRID_KEY" in describe(ServerSettings)
