"""What a table of a cluster makes of one job."""

from pathlib import Path

import pytest

from evalserver.executors.slurm.options import SlurmOptions


@pytest.mark.parametrize(
    ("timeout_s", "grace_s", "minutes"),
    [(None, 30, 90), (1, 0, 2), (59, 1, 2), (60, 1, 3), (3600, 30, 62)],
)
def test_slurm_ends_a_job_later_than_its_runner(
    timeout_s: float | None, grace_s: float, minutes: int
) -> None:
    options = SlurmOptions(Path("/shared"), time_minutes=90)

    assert options.minutes_for(timeout_s, grace_s) == minutes


def test_without_any_limit_slurm_gets_none() -> None:
    assert SlurmOptions(Path("/shared")).minutes_for(None, 30) is None


@pytest.mark.parametrize(
    ("gres", "num_gpus", "given"),
    [
        ("gpu:{num_gpus}", 2, "gpu:2"),
        ("gpu:a100:{num_gpus}", 1, "gpu:a100:1"),
        ("gpu:{num_gpus}", 0, None),
        (None, 2, None),
    ],
)
def test_a_job_asks_for_as_many_gpus_as_it_needs(
    gres: str | None, num_gpus: int, given: str | None
) -> None:
    assert SlurmOptions(Path("/shared"), gres=gres).gres_for(num_gpus) == given
