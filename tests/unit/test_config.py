"""Settings: what is read, what is refused, and the sentences that say so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import pytest

from lokole.config import SUCCESSORS, BadSettings, Url, describe, load, names, setting
from lokole.device.settings import DeviceSettings


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Sample:
    where: Path = setting("LOKOLE_WHERE", "Where it lies.")
    password: str = setting("LOKOLE_PASSWORD", "The password.", secret=True, also=("OPWEN_PASSWORD",))
    size: int = setting("LOKOLE_SIZE", "How large.", default=3)
    share: float = setting("LOKOLE_SHARE", "Which share.", default=0.5)
    on: bool = setting("LOKOLE_ON", "Whether it is on.", default=False)
    server: Url | None = setting("LOKOLE_SERVER", "The server.", default=None)
    keep: timedelta = setting("LOKOLE_KEEP", "How long it is kept.", default=timedelta(days=30))
    colour: Colour = setting("LOKOLE_COLOUR", "The colour.", default=Colour.RED)
    hours: tuple[int, ...] = setting("LOKOLE_HOURS", "The hours.", default=(2, 14))


@dataclass(frozen=True)
class Other:
    thing: str = setting("LOKOLE_THING", "A setting of another program.", default="x")


ENOUGH = {"LOKOLE_WHERE": "/data", "LOKOLE_PASSWORD": "sesame"}


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load(Sample, environ)
    return caught.value.problems


def test_defaults_stand_where_nothing_is_said() -> None:
    assert load(Sample, ENOUGH) == Sample(where=Path("/data"), password="sesame")


def test_every_type_is_read_from_text() -> None:
    environ = ENOUGH | {
        "LOKOLE_SIZE": " 12 ",
        "LOKOLE_SHARE": "0.25",
        "LOKOLE_ON": "yes",
        "LOKOLE_SERVER": "https://mail.example.org",
        "LOKOLE_KEEP": "12h",
        "LOKOLE_COLOUR": "blue",
        "LOKOLE_HOURS": "1, 5,9",
    }
    assert load(Sample, environ) == Sample(
        where=Path("/data"),
        password="sesame",
        size=12,
        share=0.25,
        on=True,
        server=Url("https://mail.example.org"),
        keep=timedelta(hours=12),
        colour=Colour.BLUE,
        hours=(1, 5, 9),
    )


def test_everything_wrong_is_named_at_once() -> None:
    found = problems({"LOKOLE_SIZE": "many", "LOKOLE_ON": "maybe", "LOKOLE_KEEP": "long", "LOKOLE_COLOUR": "green"})
    assert found == [
        "LOKOLE_WHERE is missing: Where it lies.",
        "LOKOLE_PASSWORD is missing: The password.",
        "LOKOLE_SIZE cannot be “many”: it must be a number.",
        "LOKOLE_ON cannot be “maybe”: say yes or no.",
        "LOKOLE_KEEP cannot be “long”: it must be a time such as 30d, 12h, 15m or 90s.",
        "LOKOLE_COLOUR cannot be “green”: it must be one of red, blue.",
    ]


@pytest.mark.parametrize("value", ["true", "1", "YES", "on", "false"])
def test_only_yes_and_no_switch_something(value: str) -> None:
    assert problems(ENOUGH | {"LOKOLE_ON": value}) == [f"LOKOLE_ON cannot be “{value}”: say yes or no."]


def test_nothing_is_switched_off_by_being_empty() -> None:
    assert problems(ENOUGH | {"LOKOLE_SERVER": "", "LOKOLE_WHERE": " "}) == [
        "LOKOLE_WHERE is empty; give it a value or remove it.",
        "LOKOLE_SERVER is empty; give it a value or remove it.",
    ]


def test_an_address_needs_a_scheme() -> None:
    assert problems(ENOUGH | {"LOKOLE_SERVER": "mail.example.org"}) == [
        "LOKOLE_SERVER cannot be “mail.example.org”: it must begin with a scheme, as https:// does."
    ]


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    environ = {"LOKOLE_WHERE": "/data", "LOKOLE_PASSWORD_FILE": str(tmp_path / "secret")}
    assert load(Sample, environ).password == "from a file"


def test_a_secret_file_that_is_not_there_is_named() -> None:
    found = problems({"LOKOLE_WHERE": "/data", "LOKOLE_PASSWORD_FILE": "/not/there"})
    assert found == ["LOKOLE_PASSWORD_FILE names “/not/there”, which cannot be read: No such file or directory."]


def test_an_empty_secret_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    (problem,) = problems({"LOKOLE_WHERE": "/data", "LOKOLE_PASSWORD_FILE": str(tmp_path / "secret")})
    assert problem.endswith("which is empty.")


def test_two_different_sources_of_one_setting_are_refused() -> None:
    assert problems(ENOUGH | {"OPWEN_PASSWORD": "another"}) == [
        "LOKOLE_PASSWORD and OPWEN_PASSWORD say different things; keep one."
    ]
    assert load(Sample, ENOUGH | {"OPWEN_PASSWORD": "sesame"}).password == "sesame"


def test_a_kept_name_of_the_first_lokole_is_accepted() -> None:
    assert load(Sample, {"LOKOLE_WHERE": "/data", "OPWEN_PASSWORD": "sesame"}).password == "sesame"


def test_a_secret_is_never_part_of_a_message() -> None:
    with pytest.raises(BadSettings) as caught:
        load(Sample, ENOUGH | {"OPWEN_PASSWORD": "hunter2hunter2"})
    assert "hunter2" not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_an_unknown_key_stops_the_start_and_the_likely_one_is_named() -> None:
    assert problems(ENOUGH | {"LOKOLE_COLOR": "red"}) == ["LOKOLE_COLOR is no setting. Did you mean LOKOLE_COLOUR?"]
    assert problems(ENOUGH | {"LOKOLE_XYZZY": "1"}) == ["LOKOLE_XYZZY is no setting. See `lokole config describe`."]


def test_a_file_for_something_that_is_no_secret_is_unknown() -> None:
    (problem,) = problems(ENOUGH | {"LOKOLE_WHERE_FILE": "/x"})
    assert problem.startswith("LOKOLE_WHERE_FILE is no setting.")


def test_keys_of_tests_and_of_others_are_left_alone() -> None:
    load(Sample, ENOUGH | {"LOKOLE_TEST_SHARED": "", "HOME": "/root", "PATH": ""})
    assert problems(ENOUGH | {"LOKOLE_THING": "y"})
    load(Sample, ENOUGH | {"LOKOLE_THING": "y"}, others=[Other])


def test_a_key_of_the_first_lokole_names_its_successor() -> None:
    assert problems(ENOUGH | {"OPWEN_STATE_DIRECTORY": "/x", "LOKOLE_DNS_PROVIDER": "CLOUDFLARE"}) == [
        "LOKOLE_DNS_PROVIDER is a setting of the first Lokole: use LOKOLE_DNS.",
        "OPWEN_STATE_DIRECTORY is a setting of the first Lokole: use LOKOLE_DATA.",
    ]
    (problem,) = problems(ENOUGH | {"OPWEN_SOMETHING_ELSE": "1"})
    assert problem.startswith("OPWEN_SOMETHING_ELSE is no setting; settings begin with LOKOLE_")


def test_a_description_holds_every_setting_with_its_default() -> None:
    text = describe(Sample)
    for name in ("LOKOLE_WHERE=", "LOKOLE_PASSWORD=", "#LOKOLE_SIZE=3", "#LOKOLE_ON=no", "#LOKOLE_SERVER="):
        assert f"\n{name}\n" in f"\n{text}", name
    assert "#LOKOLE_KEEP=30d\n" in text
    assert "#LOKOLE_HOURS=2,14\n" in text
    assert "Where it lies." in text
    assert "OPWEN_PASSWORD" in text


def test_a_description_read_back_gives_the_defaults() -> None:
    described = dict(
        line.removeprefix("#").split("=", 1)
        for line in describe(DeviceSettings).splitlines()
        if re.match(r"#?LOKOLE_[A-Z_]+=.", line)
    )
    assert load(DeviceSettings, described) == DeviceSettings()


def test_the_settings_of_a_box_check_each_other() -> None:
    for environ, sentence in (
        ({"LOKOLE_SESSION_KEY": "short"}, "LOKOLE_SESSION_KEY is too short"),
        ({"LOKOLE_LISTEN": "5000"}, "LOKOLE_LISTEN cannot be"),
        ({"LOKOLE_UPLINK": "pigeon:"}, "LOKOLE_UPLINK cannot be"),
        ({"LOKOLE_PAGE_SIZE": "0"}, "LOKOLE_PAGE_SIZE cannot be"),
        ({"LOKOLE_UPDATE_COMMAND": "bring-lokole"}, "LOKOLE_UPDATE_COMMAND cannot be"),
    ):
        with pytest.raises(BadSettings, match=sentence):
            load(DeviceSettings, environ)


def test_the_session_key_of_the_first_lokole_is_taken_over() -> None:
    assert load(DeviceSettings, {"OPWEN_SESSION_KEY": "0123456789abcdef"}).session_key == "0123456789abcdef"


def test_every_successor_names_a_setting_that_exists() -> None:
    from lokole.server.settings import ServerSettings

    known = {*names(DeviceSettings), *names(ServerSettings)}
    known |= {f"{name}_FILE" for name in known}
    for old, sentence in SUCCESSORS.items():
        for name in re.findall(r"LOKOLE_[A-Z0-9_]+", sentence):
            assert name in known, f"{old} -> {name}"
