"""Running functions that may block on a disk: their results, and that nothing waits forever."""

import threading
from collections.abc import Iterator

import pytest

from evalserver.system import disk_threads
from evalserver.system.disk_threads import MAX_RUNNING, DiskThreads, DiskTimeout
from tests.support import until


@pytest.fixture
def threads() -> DiskThreads:
    """Threads with a limit that no test reaches by accident."""
    return DiskThreads("tests", 60)


@pytest.fixture
def disk() -> Iterator[threading.Event]:
    """A disk that does not respond until it is set."""
    disk = threading.Event()
    yield disk
    disk.set()


async def test_the_result_of_the_function_is_returned(threads: DiskThreads) -> None:
    assert await threads.run(max, 1, 2) == 2


async def test_the_exception_of_the_function_is_raised(threads: DiskThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)


async def test_a_timeout_error_of_the_function_itself_is_raised_unchanged(
    threads: DiskThreads,
) -> None:
    def fail() -> None:
        raise TimeoutError("of the function")

    with pytest.raises(TimeoutError, match="of the function"):
        await threads.run(fail)


async def test_an_unresponsive_disk_times_out(threads: DiskThreads, disk: threading.Event) -> None:
    with pytest.raises(DiskTimeout, match=r"tests: a disk did not respond within 0\.01 s"):
        await threads.run(disk.wait, limit_s=0.01)


async def test_hanging_threads_do_not_delay_the_next_call(
    threads: DiskThreads, disk: threading.Event
) -> None:
    for _ in range(5 * MAX_RUNNING):
        with pytest.raises(DiskTimeout):
            await threads.run(disk.wait, limit_s=0.001)

    assert await threads.run(max, 1, 2) == 2


async def test_hanging_threads_are_limited_and_counted_until_they_end(
    threads: DiskThreads, disk: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_threads, "MAX_ABANDONED", 2)
    for _ in range(2):
        with pytest.raises(DiskTimeout):
            await threads.run(disk.wait, limit_s=0.001)
    with pytest.raises(DiskTimeout, match="has not responded for a long time"):
        await threads.run(max, 1, 2)

    disk.set()

    async def responds() -> bool:
        try:
            await threads.run(max, 1, 2)
        except DiskTimeout:
            return False
        return True

    assert await until(responds)
