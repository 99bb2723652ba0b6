"""What boxes hand over once more, with the work done by Celery over RabbitMQ on PostgreSQL."""

import pytest

from tests.unit.server.test_unpack import *  # noqa: F403

pytestmark = pytest.mark.e2e
ENGINES = ("celery-postgresql",)
