"""Moving from a first Lokole's server to one on a real PostgreSQL, test by test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lokole.config import Url
from tests import first_server as first
from tests.api.test_moving_from_the_first import (
    Old,
    old_in,
    test_a_domain_that_is_another_box_here_is_left_alone,
    test_a_run_that_broke_off_goes_on_where_it_was,
    test_a_trial_counts_the_same_and_writes_nothing,
    test_bad_objects_are_named_and_their_neighbours_come,
    test_deleting_one_domain_leaves_the_packages_of_the_others,
    test_everything_is_taken_once_and_the_storage_is_left_as_it_was,
    test_letters_are_where_they_were,
    test_one_moved_box_cannot_have_anothers_package_read,
    test_only_the_domains_that_are_asked_for,
    test_people_keep_a_password_that_sign_in_accepts,
    test_rows_are_what_the_boxes_know,
    test_the_boxes_go_on,
    test_what_a_box_fetched_from_the_first_server_after_a_trial_run_waits_here_no_more,
)

__all__ = [
    "test_a_domain_that_is_another_box_here_is_left_alone",
    "test_a_run_that_broke_off_goes_on_where_it_was",
    "test_a_trial_counts_the_same_and_writes_nothing",
    "test_bad_objects_are_named_and_their_neighbours_come",
    "test_deleting_one_domain_leaves_the_packages_of_the_others",
    "test_everything_is_taken_once_and_the_storage_is_left_as_it_was",
    "test_letters_are_where_they_were",
    "test_one_moved_box_cannot_have_anothers_package_read",
    "test_only_the_domains_that_are_asked_for",
    "test_people_keep_a_password_that_sign_in_accepts",
    "test_rows_are_what_the_boxes_know",
    "test_the_boxes_go_on",
    "test_what_a_box_fetched_from_the_first_server_after_a_trial_run_waits_here_no_more",
]

pytestmark = pytest.mark.e2e


@pytest.fixture
def old(tmp_path: Path, emptied_url: str) -> Iterator[Old]:
    with old_in(tmp_path, database=Url(emptied_url)) as made:
        first.fill(made.put)
        yield made
