"""The end of the last job of a line, for estimates."""

from evalserver.scheduling.line import Occupied, Step, end_of_last


def test_with_one_place_durations_add_up() -> None:
    assert end_of_last([Step(1, 10), Step(1, 5)], [Occupied(1, 3)], 1, None) == 18


def test_with_two_places_the_earlier_end_counts() -> None:
    running = [Occupied(1, 3), Occupied(1, 7)]

    assert end_of_last([Step(1, 10), Step(1, 5)], running, 2, None) == 12


def test_a_job_waits_until_enough_gpus_are_released() -> None:
    running = [Occupied(2, 3), Occupied(2, 7)]

    assert end_of_last([Step(4, 10)], running, None, 4) == 17


def test_nobody_overtakes_in_the_estimate() -> None:
    assert end_of_last([Step(4, 10), Step(1, 5)], [Occupied(1, 3)], None, 4) == 18


def test_a_job_that_needs_too_many_gpus_has_no_estimate() -> None:
    assert end_of_last([Step(5, 10)], [Occupied(1, 3)], None, 4) is None
