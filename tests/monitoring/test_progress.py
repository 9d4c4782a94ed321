"""The board of progress: what is newest, and who hears of it; and the watching of logs."""

import time
from pathlib import Path

import pytest

from evalserver.core.health import Health
from evalserver.engines import TqdmReader
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import MAX_READ_BYTES, Progress, ProgressBoard, watch_progress
from evalserver.runner.files import LOG_FILE
from tests.support import until

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
    board.update("a", Progress("Loading"))
    board.update("a", HALF)

    assert board.get("a") == HALF


def test_a_job_that_has_told_nothing_has_no_progress(board: ProgressBoard) -> None:
    board.update("a", HALF)

    assert board.get("b") is None


def test_progress_ends_with_the_attempt(board: ProgressBoard) -> None:
    board.update("a", HALF)
    board.clear("a")

    assert board.get("a") is None


def test_the_progress_of_all_jobs_is_known_by_their_ids(board: ProgressBoard) -> None:
    board.update("a", HALF)
    board.update("b", Progress("Loading"))
    board.clear("b")

    assert board.all() == {"a": HALF}


async def test_who_listens_to_the_job_is_woken_by_progress(
    bus: EventBus, board: ProgressBoard
) -> None:
    with bus.listening("a") as listener:
        board.update("a", HALF)

        assert await listener.wait(0.01)


async def test_the_same_progress_again_wakes_nobody(bus: EventBus, board: ProgressBoard) -> None:
    board.update("a", HALF)

    with bus.listening("a") as listener:
        board.update("a", HALF)

        assert not await listener.wait(0.01)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory without a log."""
    path = tmp_path / "attempt-1"
    path.mkdir()
    return path


def bar(done: int, label: str = "Work") -> bytes:
    """A state of a bar of 8."""
    return f"\r{label}: {done}%|##  | {done}/8 [00:01<00:02, 2.00it/s]".encode()


async def test_a_log_that_grows_moves_progress(board: ProgressBoard, run_dir: Path) -> None:
    stages = []
    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        stages.append(await until(lambda: _told(board, "starting")))
        with (run_dir / LOG_FILE).open("ab", buffering=0) as log:
            log.write(bar(1))
            stages.append(await until(lambda: _told(board, "Work", 1)))
            log.write(bar(2))
            stages.append(await until(lambda: _told(board, "Work", 2)))

    assert [progress.done for progress in stages] == [None, 1, 2]


async def test_who_begins_to_watch_a_long_log_looks_at_its_end(
    board: ProgressBoard, run_dir: Path
) -> None:
    with (run_dir / LOG_FILE).open("wb") as log:
        log.seek(2 * 2**30)
        log.write(bar(5))

    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        progress = await until(lambda: _told(board, "Work"))

    assert progress.done == 5


async def test_of_a_flood_the_newest_is_looked_at(board: ProgressBoard, run_dir: Path) -> None:
    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        await until(lambda: _told(board, "starting"))
        (run_dir / LOG_FILE).write_bytes(
            bar(1, "Old") + b"x" * 10 * MAX_READ_BYTES + b"\n" + bar(2)
        )
        progress = await until(lambda: _told(board, "Work"))

    assert progress.done == 2


async def test_a_run_directory_that_is_removed_ends_no_evaluation(
    board: ProgressBoard, run_dir: Path
) -> None:
    run_dir.rmdir()

    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        await until(lambda: _told(board, "starting"))


async def test_a_log_is_looked_at_at_most_twice_a_second(
    bus: EventBus, board: ProgressBoard, run_dir: Path
) -> None:
    looks = 0

    class Counting(TqdmReader):
        def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
            nonlocal looks
            looks += 1
            return Progress("Work", done=looks)

    began = time.monotonic()
    async with watch_progress(board, Health(), "a", run_dir, Counting()):
        await until(lambda: _told(board, "Work", 3))

    assert looks <= 1 + 2 * (time.monotonic() - began)


async def test_a_reader_that_fails_does_not_fail_the_evaluation(
    board: ProgressBoard, run_dir: Path
) -> None:
    class Failing(TqdmReader):
        def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
            raise RuntimeError("a fault of ours")

    health = Health()

    async def is_degraded() -> bool:
        return "progress of job a failed" in (health.degraded_reason or "")

    async with watch_progress(board, health, "a", run_dir, Failing()):
        await until(is_degraded)

    assert (board.get("a"), health.degraded_reason) == (None, None)


async def test_a_watch_that_fails_goes_on(board: ProgressBoard, run_dir: Path) -> None:
    (run_dir / LOG_FILE).write_bytes(bar(1))
    failures = [RuntimeError("a fault of ours")]

    class FailingOnce(TqdmReader):
        def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
            if failures:
                raise failures.pop()
            return super().read(piece, after_gap=after_gap)

    async with watch_progress(board, Health(), "a", run_dir, FailingOnce()):
        progress = await until(lambda: _told(board, "Work"))

    assert progress.done == 1


async def _told(board: ProgressBoard, stage: str, done: int | None = None) -> Progress | None:
    found = board.get("a")
    return found if found and found.stage == stage and done in (None, found.done) else None
