"""Backfill over many jobs: it uses GPUs better, and delays no job beyond its reserved start."""

import pytest

from tests.scheduling.simulation import JOBS, Simulation, make_jobs


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_job_starts_after_its_reserved_start(seed: int) -> None:
    outcome = Simulation(make_jobs(seed), fills_gaps=True).run()

    assert outcome.reserved > 50
    assert outcome.postponed > 0
    assert outcome.late == []
    assert len(outcome.waits) == JOBS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_job_starts_after_its_reserved_start_beside_limits_of_tokens(seed: int) -> None:
    outcome = Simulation(make_jobs(seed), fills_gaps=True, max_running_per_token=3).run()

    assert outcome.filled > 50
    assert outcome.late == []
    assert len(outcome.waits) == JOBS


def test_backfill_shortens_the_mean_wait() -> None:
    strict = Simulation(make_jobs(1), fills_gaps=False).run()
    filled = Simulation(make_jobs(1), fills_gaps=True).run()

    assert filled.filled > 50
    assert sum(filled.waits.values()) < sum(strict.waits.values())
    assert filled.utilization >= strict.utilization
