"""What a modem has to be told so that a mobile network lets it into the internet, and how the two usual programs read it.

Nothing here dials. What is kept is plain: printable ASCII without a line of its own anywhere, so that no field can become another setting.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from lokole.mail.errors import Refused

#: the number that asks a modem for data instead of a voice, in every GSM network
PHONE = "*99#"
MODEM, PROFILE = "/dev/ttyUSB0", "Defaults"
#: wvdial stops when there is no name or no password; networks that ask for none take any
_ANY = "lokole"
_APN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLAIN = re.compile(r"(?:[!-~](?:[ -~]{0,62}[!-~])?)?")
_MODEM = re.compile(r"/dev/[A-Za-z0-9][A-Za-z0-9/_:+-]{0,80}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_SPECIAL = re.compile(r'[\\"{}]')


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """``apn`` is the network's name for its way to the internet. What there is no word for is empty.

    ``country`` (two small letters) and ``network`` say whose it is, ``name`` what the network calls it,
    ``plan`` is ``prepaid``, ``postpaid`` or empty. Raises Refused with the name of the field that cannot be.
    """

    apn: str
    username: str = ""
    password: str = ""
    country: str = ""
    network: str = ""
    name: str = ""
    plan: str = ""

    def __post_init__(self) -> None:
        if not _APN.fullmatch(self.apn):
            raise Refused("an access point is letters, digits, dots and dashes", code="apn", field="apn")
        for field, value in (("username", self.username), ("password", self.password)):
            if not _PLAIN.fullmatch(value):
                raise Refused("64 plain letters, digits and signs at most", code="text", field=field)


def wvdial_config(point: AccessPoint, *, modem: str = MODEM, profile: str = PROFILE) -> str:
    """The section ``profile`` of ``/etc/wvdial.conf`` for ``point``; raises Refused for a ``modem`` or ``profile`` that cannot be."""
    if not _MODEM.fullmatch(modem):
        raise Refused("a modem is the name of a device", code="modem", field="modem")
    if not _PROFILE.fullmatch(profile):
        raise Refused("a profile is letters, digits and dashes", code="profile", field="profile")
    return (
        f"[Dialer {profile}]\n"
        f"Modem = {modem}\n"
        "Baud = 460800\n"
        "Init1 = ATZ\n"
        f'Init2 = AT+CGDCONT=1,"IP","{point.apn}"\n'
        f"Phone = {PHONE}\n"
        f"Username = {_in_wvdial(point.username)}\n"
        f"Password = {_in_wvdial(point.password)}\n"
        "Stupid Mode = 1\n"
    )


def nmcli_line(point: AccessPoint) -> str:
    """The command that gives NetworkManager a connection ``lokole`` for ``point``, for a shell; it comes up only when it is asked to."""
    words = ["nmcli", "connection", "add", "type", "gsm", "con-name", "lokole", "ifname", "*"]
    words += ["connection.autoconnect", "no", "gsm.apn", point.apn]
    if point.username:
        words += ["gsm.username", point.username]
    if point.password:
        words += ["gsm.password", point.password]
    return shlex.join(words)


def _in_wvdial(value: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", value or _ANY)
