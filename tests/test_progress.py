"""The board of progress: what is newest, and who hears of it."""

import pytest

from evalserver.event_bus import EventBus
from evalserver.progress import Progress, ProgressBoard

HALF = Progress("Model Responding", fraction=0.5, done=4, total=8)


@pytest.fixture
def bus() -> EventBus:
    """A bus without listeners."""
    return EventBus()


@pytest.fixture
def board(bus: EventBus) -> ProgressBoard:
    """A board that tells the bus."""
    return ProgressBoard(bus)


def test_the_newest_progress_of_a_job_is_kept(board: ProgressBoard) -> None:
    board.post("a", Progress("Loading"))
    board.post("a", HALF)

    assert board.of("a") == HALF


def test_a_job_that_has_told_nothing_has_no_progress(board: ProgressBoard) -> None:
    board.post("a", HALF)

    assert board.of("b") is None


def test_progress_ends_with_the_attempt(board: ProgressBoard) -> None:
    board.post("a", HALF)
    board.clear("a")

    assert board.of("a") is None


def test_the_progress_of_all_jobs_is_known_by_their_ids(board: ProgressBoard) -> None:
    board.post("a", HALF)
    board.post("b", Progress("Loading"))
    board.clear("b")

    assert board.all() == {"a": HALF}


async def test_who_listens_to_the_job_is_woken_by_progress(
    bus: EventBus, board: ProgressBoard
) -> None:
    with bus.listening("a") as listener:
        board.post("a", HALF)

        assert await listener.wait(0.01)


async def test_the_same_progress_again_wakes_nobody(bus: EventBus, board: ProgressBoard) -> None:
    board.post("a", HALF)

    with bus.listening("a") as listener:
        board.post("a", HALF)

        assert not await listener.wait(0.01)
