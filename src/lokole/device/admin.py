"""Making an administrator, with a password that works once.

The person is made when there is none of that name; who exists keeps everything but the password.
"""

from __future__ import annotations

from lokole.device.box import Box
from lokole.mailbox import accounts
from lokole.mailbox.passwords import hash_password
from lokole.mailbox.slips import issue_slip, one_time_password


def make_admin(box: Box, name: str) -> str:
    """Make ``name`` an administrator with a new one-time password, which is returned: it has to be changed at the first sign-in.

    Raises Refused with field ``name`` when it cannot be anybody's.
    """
    password = one_time_password(box.ports.entropy)
    hashed = hash_password(password)  # random already: a cost above the default would add nothing
    with box.ports.database.write() as tx:
        person = accounts.find_account(tx, box.tenant, name)
        if person is None:
            person = accounts.create_account(
                tx, box.tenant, name, password_hash=None, now=box.ports.clock(), allow_reserved=True
            )
        issue_slip(tx, person, hashed)
        accounts.set_admin(tx, person, True)
        accounts.set_suspended(tx, person, False)
    return password
