"""Running what may wait for a disk: what it returns, and that nobody waits for ever."""

import threading

import pytest

from evalserver.system.own_thread import in_own_thread


async def test_what_the_function_returns_is_returned() -> None:
    assert await in_own_thread(max, 1, 2, limit_s=60) == 2


async def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(divmod, 1, 0, limit_s=60)


async def test_a_function_that_does_not_return_is_given_up() -> None:
    disk_answers = threading.Event()

    with pytest.raises(TimeoutError):
        await in_own_thread(disk_answers.wait, limit_s=0.01)

    disk_answers.set()


async def test_many_that_wait_do_not_hold_up_the_next() -> None:
    disk_answers = threading.Event()
    for _ in range(50):
        with pytest.raises(TimeoutError):
            await in_own_thread(disk_answers.wait, limit_s=0.001)

    assert await in_own_thread(max, 1, 2, limit_s=60) == 2

    disk_answers.set()
