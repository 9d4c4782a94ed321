"""What is said of a job that waits inside Slurm."""

from datetime import UTC, datetime, timedelta

import pytest

from evalserver.executors.slurm.answers import SlurmState
from evalserver.executors.slurm.waiting import describe_waiting
from tests.executors.slurm.test_follower import job

NOW = datetime(2026, 11, 29, 13, 50, tzinfo=UTC)
PENDING = SlurmState.PENDING


@pytest.mark.parametrize(
    ("expected_start", "words"),
    [
        (None, "Slurm: Resources, partition gpu"),
        (NOW + timedelta(minutes=15), "Slurm: Resources, partition gpu, about 14:05 UTC"),
        (
            NOW + timedelta(hours=11),
            "Slurm: Resources, partition gpu, about 2026-11-30 00:50 UTC",
        ),
    ],
)
def test_reason_partition_and_expected_start_are_told(
    expected_start: datetime | None, words: str
) -> None:
    waiting = job(
        PENDING,
        reason="Resources",
        partition="gpu",
        started_at=None,
        expected_start=expected_start,
    )

    assert describe_waiting((waiting,), NOW) == words


def test_a_job_that_has_started_waits_for_nothing() -> None:
    assert describe_waiting((job(SlurmState.RUNNING, started_at=NOW),), NOW) is None
