"""The end of the last of some jobs, for estimates."""

from evalserver.scheduling.queue_estimate import ExpectedJob, seconds_until_last_ends


def test_with_one_place_durations_add_up() -> None:
    assert (
        seconds_until_last_ends(
            [ExpectedJob(1, 10), ExpectedJob(1, 5)], [ExpectedJob(1, 3)], 1, None
        )
        == 18
    )


def test_with_two_places_the_earlier_end_counts() -> None:
    running = [ExpectedJob(1, 3), ExpectedJob(1, 7)]

    assert seconds_until_last_ends([ExpectedJob(1, 10), ExpectedJob(1, 5)], running, 2, None) == 12


def test_a_job_waits_until_enough_gpus_are_released() -> None:
    running = [ExpectedJob(2, 3), ExpectedJob(2, 7)]

    assert seconds_until_last_ends([ExpectedJob(4, 10)], running, None, 4) == 17


def test_nobody_overtakes_in_the_estimate() -> None:
    assert (
        seconds_until_last_ends(
            [ExpectedJob(4, 10), ExpectedJob(1, 5)], [ExpectedJob(1, 3)], None, 4
        )
        == 18
    )


def test_a_job_that_needs_too_many_gpus_has_no_estimate() -> None:
    assert seconds_until_last_ends([ExpectedJob(5, 10)], [ExpectedJob(1, 3)], None, 4) is None
