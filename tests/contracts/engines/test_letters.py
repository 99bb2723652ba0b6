"""Letters in and out once more, with the work done by Celery over RabbitMQ on PostgreSQL: handlers must not know who runs them."""

import pytest

from tests.unit.server.test_receive import *  # noqa: F403
from tests.unit.server.test_send import *  # noqa: F403

pytestmark = pytest.mark.e2e
ENGINES = ("celery-postgresql",)
