"""The table of legal moves: what any design of a job's life must hold."""

import pytest

from evalserver.core.lifecycle import FINISHED, TRANSITIONS, EventKind, Status


def leading_from(status: Status | None) -> dict[EventKind, Status | None]:
    """The events that may happen in a state, and where they lead."""
    return {kind: move.after for kind, move in TRANSITIONS.items() if status in move.before}


def test_every_kind_of_event_has_its_move() -> None:
    assert set(TRANSITIONS) == set(EventKind)


def test_a_job_begins_in_the_queue() -> None:
    assert leading_from(None) == {EventKind.SUBMITTED: Status.QUEUED}


def test_a_queued_job_is_claimed_or_cancelled_or_gets_another_place() -> None:
    assert leading_from(Status.QUEUED) == {
        EventKind.PRIORITIZED: Status.QUEUED,
        EventKind.CLAIMED: Status.RUNNING,
        EventKind.CANCELLED: Status.CANCELLED,
    }


def test_a_running_job_goes_on_or_ends_or_waits_again() -> None:
    assert leading_from(Status.RUNNING) == {
        EventKind.REATTACHED: Status.RUNNING,
        EventKind.CANCEL_REQUESTED: Status.RUNNING,
        EventKind.INTERRUPTED: Status.QUEUED,
        EventKind.COMPLETED: Status.COMPLETED,
        EventKind.FAILED: Status.FAILED,
        EventKind.CANCELLED: Status.CANCELLED,
    }


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_job_is_tried_again_or_pruned_and_nothing_else(status: Status) -> None:
    assert leading_from(status) == {EventKind.RETRIED: Status.QUEUED, EventKind.PRUNED: None}


def test_the_states_are_those_of_the_contract() -> None:
    names = ["queued", "running", "completed", "failed", "cancelled"]

    assert [status.value for status in Status] == names


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_state_has_an_event_of_its_own_name(status: Status) -> None:
    assert TRANSITIONS[EventKind(status.value)].after is status


@pytest.mark.parametrize("status", Status)
def test_every_state_can_be_reached(status: Status) -> None:
    assert status in {move.after for move in TRANSITIONS.values()}


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[EventKind.CLAIMED] = TRANSITIONS[EventKind.FAILED]  # type: ignore[index]
