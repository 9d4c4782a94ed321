"""The faults that a server reports about itself."""

import pytest

from evalserver.core.health import Health


@pytest.fixture
def health() -> Health:
    """A server's health with one fault that blocks submissions and one that does not."""
    health = Health()
    health.report("database", "the disk is full", refuses_jobs=True)
    health.report("scheduler", "the scheduler failed")
    return health


def test_every_fault_degrades_the_server(health: Health) -> None:
    assert health.degraded_reason == "the disk is full; the scheduler failed"


def test_only_some_faults_block_submissions(health: Health) -> None:
    assert health.refusal_reason == "the disk is full"


def test_a_cleared_fault_is_no_longer_reported(health: Health) -> None:
    health.clear("database")

    assert (health.refusal_reason, health.degraded_reason) == (None, "the scheduler failed")


def test_a_later_report_replaces_an_earlier_one(health: Health) -> None:
    health.report("database", "the file was removed", refuses_jobs=True)

    assert health.reason("database") == "the file was removed"


def test_a_server_without_faults_is_healthy() -> None:
    assert Health().degraded_reason is None
