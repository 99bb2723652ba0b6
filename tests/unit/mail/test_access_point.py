"""What a modem is told: nothing that was typed becomes a second setting or a second word of a command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest

from lokole.mail.access_point import AccessPoint, nmcli_line, wvdial_config
from lokole.mail.errors import Refused

ODD = ["p;w#y", 'c"d', "a\\b", "{}", "a'b", "$(reboot)", "`x`", "-x", "a b", "=", "[x]", "&;|<>"]


def test_a_config_for_wvdial_has_number_access_point_name_and_password() -> None:
    lines = wvdial_config(AccessPoint("lobi.net", "lobi", "secret")).splitlines()
    assert lines[0] == "[Dialer Defaults]"
    assert {"Phone = *99#", 'Init2 = AT+CGDCONT=1,"IP","lobi.net"', "Username = lobi", "Password = secret"} <= {*lines}
    assert "Modem = /dev/ttyUSB0" in lines


def test_wvdial_stops_without_a_name_so_a_network_that_asks_for_none_gets_any() -> None:
    config = wvdial_config(AccessPoint("ngoma"))
    assert "Username = lokole\n" in config
    assert "Password = lokole\n" in config
    assert "gsm.username" not in nmcli_line(AccessPoint("ngoma"))


@pytest.mark.parametrize("value", ODD)
def test_signs_of_a_password_stay_signs(value: str) -> None:
    point = AccessPoint("ngoma", value, value)
    config = wvdial_config(point)
    assert len(config.splitlines()) == len(wvdial_config(AccessPoint("ngoma")).splitlines())
    said = config.partition("Password = ")[2].partition("\n")[0]
    # wvdial takes one backslash off each of these, and braces and quotes without one for brackets of its own
    assert re.sub(r"\\(.)", r"\1", said) == value
    assert not set(re.sub(r"\\.", "", said)) & set('\\"{}')
    words = shlex.split(nmcli_line(point))
    assert words[-4:] == ["gsm.username", value, "gsm.password", value]
    assert words[:3] == ["nmcli", "connection", "add"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("apn", value) for value in ("", "a b", 'x","y', "x\nInit3 = ATD1", "-x", "é", "x" * 101, "x\n")),
        *(
            (field, value)
            for field in ("username", "password")
            for value in ("x\nModem = /dev/null", "é", " x", "x ", "x" * 65, "\0", "x\n")
        ),
    ],
)
def test_what_no_modem_can_be_told_is_refused(field: str, value: str) -> None:
    with pytest.raises(Refused) as raised:
        AccessPoint(**{"apn": "ngoma", field: value})
    assert raised.value.field == field


@pytest.mark.parametrize("modem", ["", "ttyUSB0", "/dev/../etc/passwd", "/dev/x\ny", "/dev/x y"])
def test_a_modem_is_a_device(modem: str) -> None:
    assert "Modem = /dev/serial/by-id/usb-HUAWEI-if00" in wvdial_config(
        AccessPoint("x"), modem="/dev/serial/by-id/usb-HUAWEI-if00"
    )
    with pytest.raises(Refused):
        wvdial_config(AccessPoint("x"), modem=modem)


@pytest.mark.parametrize("profile", ["", "a]b", "a\nb", "-a"])
def test_a_profile_is_a_word(profile: str) -> None:
    assert wvdial_config(AccessPoint("x"), profile="night").startswith("[Dialer night]\n")
    with pytest.raises(Refused):
        wvdial_config(AccessPoint("x"), profile=profile)


@pytest.mark.skipif(shutil.which("nmcli") is None, reason="NetworkManager is not installed here")
@pytest.mark.parametrize("value", ["plain", *ODD])
def test_networkmanager_reads_the_line_as_it_was_meant(value: str) -> None:
    line = nmcli_line(AccessPoint("lobi.net", "lobi", value)).replace("nmcli", "nmcli --offline", 1)
    made = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    if "--offline" in made.stderr:
        pytest.skip("this NetworkManager is too old to be asked without its service")
    assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    assert "apn=lobi.net" in lines
    assert f"password={value}".replace("\\", "\\\\") in lines
    assert "autoconnect=false" in lines
