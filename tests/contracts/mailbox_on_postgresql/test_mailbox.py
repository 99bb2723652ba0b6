"""Every test of the mailbox that asks a database, once more: the two engines have to agree."""

from tests.unit.mailbox.test_accounts import *  # noqa: F403
from tests.unit.mailbox.test_administration import *  # noqa: F403
from tests.unit.mailbox.test_conversations import *  # noqa: F403
from tests.unit.mailbox.test_deleted import *  # noqa: F403
from tests.unit.mailbox.test_drafts import *  # noqa: F403
from tests.unit.mailbox.test_entries import *  # noqa: F403
from tests.unit.mailbox.test_filters import *  # noqa: F403
from tests.unit.mailbox.test_folders import *  # noqa: F403
from tests.unit.mailbox.test_greylist import *  # noqa: F403
from tests.unit.mailbox.test_held import *  # noqa: F403
from tests.unit.mailbox.test_jobs import *  # noqa: F403
from tests.unit.mailbox.test_letters import *  # noqa: F403
from tests.unit.mailbox.test_lists import *  # noqa: F403
from tests.unit.mailbox.test_mail_flow import *  # noqa: F403
from tests.unit.mailbox.test_notes import *  # noqa: F403
from tests.unit.mailbox.test_outbound import *  # noqa: F403
from tests.unit.mailbox.test_packages import *  # noqa: F403
from tests.unit.mailbox.test_people import *  # noqa: F403
from tests.unit.mailbox.test_roaming import *  # noqa: F403
from tests.unit.mailbox.test_search import *  # noqa: F403
from tests.unit.mailbox.test_tenants import *  # noqa: F403
