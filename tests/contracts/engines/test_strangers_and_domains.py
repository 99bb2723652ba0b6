"""Letters to people whom nobody knows yet, and domains that come and go, once more by Celery over RabbitMQ on PostgreSQL."""

import pytest

from tests.api.test_register import (
    test_a_deleted_domain_and_all_it_kept_are_gone_and_may_come_again,
    test_the_work_behind_is_tried_again_while_the_outside_fails,
)
from tests.unit.server.test_strangers import (
    box,
    test_a_box_that_never_comes_lets_a_strangers_letter_wait_a_month,
    test_a_proved_sender_of_a_letter_to_nobody_is_told_with_the_null_sender,
    test_a_stranger_that_appears_before_the_letter_was_packed_gets_it_once,
    test_over_a_webhook_the_letter_waits_and_goes_to_whoever_signs_up,
)

pytestmark = pytest.mark.e2e
ENGINES = ("celery-postgresql",)

__all__ = [
    "box",
    "test_a_box_that_never_comes_lets_a_strangers_letter_wait_a_month",
    "test_a_deleted_domain_and_all_it_kept_are_gone_and_may_come_again",
    "test_a_proved_sender_of_a_letter_to_nobody_is_told_with_the_null_sender",
    "test_a_stranger_that_appears_before_the_letter_was_packed_gets_it_once",
    "test_over_a_webhook_the_letter_waits_and_goes_to_whoever_signs_up",
    "test_the_work_behind_is_tried_again_while_the_outside_fails",
]
