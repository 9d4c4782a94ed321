"""The progress board and its listeners, and watching logs for progress."""

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
    """A board that publishes to the bus."""
    return ProgressBoard(bus)


def test_the_latest_progress_of_a_job_is_kept(board: ProgressBoard) -> None:
    board.update("a", Progress("Loading"))
    board.update("a", HALF)

    assert board.get("a") == HALF


def test_a_job_without_reports_has_no_progress(board: ProgressBoard) -> None:
    board.update("a", HALF)

    assert board.get("b") is None


def test_progress_ends_with_the_attempt(board: ProgressBoard) -> None:
    board.update("a", HALF)
    board.clear("a")

    assert board.get("a") is None


def test_the_progress_of_all_jobs_is_available_by_id(board: ProgressBoard) -> None:
    board.update("a", HALF)
    board.update("b", Progress("Loading"))
    board.clear("b")

    assert board.all() == {"a": HALF}


async def test_progress_wakes_the_listeners_of_its_job(bus: EventBus, board: ProgressBoard) -> None:
    with bus.listening("a") as listener:
        board.update("a", HALF)

        assert await listener.wait(0.01)


async def test_unchanged_progress_wakes_no_listener(bus: EventBus, board: ProgressBoard) -> None:
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
    """Return a state of a bar with a total of 8."""
    return f"\r{label}: {done}%|##  | {done}/8 [00:01<00:02, 2.00it/s]".encode()


async def test_a_growing_log_updates_the_progress(board: ProgressBoard, run_dir: Path) -> None:
    stages = []
    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        stages.append(await until(lambda: _reported(board, "starting")))
        with (run_dir / LOG_FILE).open("ab", buffering=0) as log:
            log.write(bar(1))
            stages.append(await until(lambda: _reported(board, "Work", 1)))
            log.write(bar(2))
            stages.append(await until(lambda: _reported(board, "Work", 2)))

    assert [progress.done for progress in stages] == [None, 1, 2]


async def test_watching_a_long_log_starts_at_its_end(board: ProgressBoard, run_dir: Path) -> None:
    with (run_dir / LOG_FILE).open("wb") as log:
        log.seek(2 * 2**30)
        log.write(bar(5))

    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        progress = await until(lambda: _reported(board, "Work"))

    assert progress.done == 5


async def test_only_the_end_of_a_flood_of_output_is_read(
    board: ProgressBoard, run_dir: Path
) -> None:
    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        await until(lambda: _reported(board, "starting"))
        (run_dir / LOG_FILE).write_bytes(
            bar(1, "Old") + b"x" * 10 * MAX_READ_BYTES + b"\n" + bar(2)
        )
        progress = await until(lambda: _reported(board, "Work"))

    assert progress.done == 2


async def test_removing_a_run_directory_does_not_end_the_evaluation(
    board: ProgressBoard, run_dir: Path
) -> None:
    run_dir.rmdir()

    async with watch_progress(board, Health(), "a", run_dir, TqdmReader()):
        await until(lambda: _reported(board, "starting"))


async def test_a_log_is_read_at_most_twice_a_second(
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
        await until(lambda: _reported(board, "Work", 3))

    assert looks <= 1 + 2 * (time.monotonic() - began)


async def test_a_failing_reader_does_not_fail_the_evaluation(
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


async def test_a_failing_watch_continues(board: ProgressBoard, run_dir: Path) -> None:
    (run_dir / LOG_FILE).write_bytes(bar(1))
    failures = [RuntimeError("a fault of ours")]

    class FailingOnce(TqdmReader):
        def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
            if failures:
                raise failures.pop()
            return super().read(piece, after_gap=after_gap)

    async with watch_progress(board, Health(), "a", run_dir, FailingOnce()):
        progress = await until(lambda: _reported(board, "Work"))

    assert progress.done == 1


async def _reported(board: ProgressBoard, stage: str, done: int | None = None) -> Progress | None:
    found = board.get("a")
    return found if found and found.stage == stage and done in (None, found.done) else None
