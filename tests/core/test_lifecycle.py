"""The transition table: the rules that any job lifecycle must satisfy."""

import pytest

from evalserver.core.lifecycle import FINISHED, TRANSITIONS, EventKind, Status


def leading_from(status: Status | None) -> dict[EventKind, Status | None]:
    """The events that are allowed in a state, and the states they lead to."""
    return {kind: move.moves[status] for kind, move in TRANSITIONS.items() if status in move.moves}


def test_every_kind_of_event_has_a_transition() -> None:
    assert set(TRANSITIONS) == set(EventKind)


def test_a_job_starts_in_the_queue_and_is_judged_or_erased_after_it_was_pruned() -> None:
    assert leading_from(None) == {
        EventKind.SUBMITTED: Status.QUEUED,
        EventKind.JUDGED: None,
        EventKind.ERASED: None,
    }


def test_a_queued_job_can_be_prioritized_begin_an_attempt_and_end_on_a_cluster() -> None:
    assert leading_from(Status.QUEUED) == {
        EventKind.PRIORITIZED: Status.QUEUED,
        EventKind.CLAIMED: Status.RUNNING,
        EventKind.HANDED_OVER: Status.QUEUED,
        EventKind.STARTED: Status.RUNNING,
        EventKind.CANCEL_REQUESTED: Status.QUEUED,
        EventKind.INTERRUPTED: Status.QUEUED,
        EventKind.FAILED: Status.FAILED,
        EventKind.CANCELLED: Status.CANCELLED,
    }


def test_a_running_job_continues_ends_or_returns_to_the_queue() -> None:
    assert leading_from(Status.RUNNING) == {
        EventKind.REATTACHED: Status.RUNNING,
        EventKind.STALLED: Status.RUNNING,
        EventKind.ACTIVE_AGAIN: Status.RUNNING,
        EventKind.CANCEL_REQUESTED: Status.RUNNING,
        EventKind.INTERRUPTED: Status.QUEUED,
        EventKind.POSTPONED: Status.QUEUED,
        EventKind.COMPLETED: Status.COMPLETED,
        EventKind.FAILED: Status.FAILED,
        EventKind.CANCELLED: Status.CANCELLED,
    }


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_a_finished_job_can_only_be_judged_retried_or_pruned(status: Status) -> None:
    judged = {EventKind.JUDGED: status} if status is Status.COMPLETED else {}
    changes = {EventKind.RETRIED: Status.QUEUED, EventKind.PRUNED: None}
    assert leading_from(status) == {**judged, **changes}


def test_the_states_match_the_contract() -> None:
    names = ["queued", "running", "completed", "failed", "cancelled"]

    assert [status.value for status in Status] == names


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_each_finished_state_has_an_event_of_the_same_name(status: Status) -> None:
    assert set(TRANSITIONS[EventKind(status.value)].moves.values()) == {status}


@pytest.mark.parametrize("status", Status)
def test_every_state_is_reachable(status: Status) -> None:
    assert status in {after for move in TRANSITIONS.values() for after in move.moves.values()}


def test_the_table_is_immutable() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[EventKind.CLAIMED] = TRANSITIONS[EventKind.FAILED]  # type: ignore[index]
