"""Rows of work on every engine: tried again, given up, leased once, with the tests of the embedded one."""

import pytest

from tests.unit.server.test_worker import (
    script,
    test_a_clock_that_jumps_gives_no_thread_what_another_has_in_hand,
    test_a_fault_of_ours_is_tried_a_few_times,
    test_a_lease_that_ran_out_goes_to_another_and_the_first_changes_nothing,
    test_a_no_is_final,
    test_a_peer_that_names_a_time_is_left_alone_until_then,
    test_a_row_that_takes_its_workers_down_is_given_up,
    test_after_its_time_it_is_dead_and_says_type_and_place_only,
    test_failures_that_were_noted_are_no_deaths,
    test_unknown_work_is_dead_at_once,
    test_what_fails_for_now_is_tried_again_after_growing_gaps,
)

pytestmark = pytest.mark.e2e

__all__ = [
    "script",
    "test_a_clock_that_jumps_gives_no_thread_what_another_has_in_hand",
    "test_a_fault_of_ours_is_tried_a_few_times",
    "test_a_lease_that_ran_out_goes_to_another_and_the_first_changes_nothing",
    "test_a_no_is_final",
    "test_a_peer_that_names_a_time_is_left_alone_until_then",
    "test_a_row_that_takes_its_workers_down_is_given_up",
    "test_after_its_time_it_is_dead_and_says_type_and_place_only",
    "test_failures_that_were_noted_are_no_deaths",
    "test_unknown_work_is_dead_at_once",
    "test_what_fails_for_now_is_tried_again_after_growing_gaps",
]
