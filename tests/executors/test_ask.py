"""Querying a program: its answer, or an error of one sentence."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import psutil
import pytest

from evalserver.executors import ExecutorError
from evalserver.executors.ask import ask
from tests.support import WAIT_SECONDS, until


async def test_the_answer_is_what_the_program_prints_on_stdout() -> None:
    program = "import sys; print('an answer'); print('a remark', file=sys.stderr)"

    answer = await ask(_python(program), {}, WAIT_SECONDS)

    assert answer == "an answer\n"


async def test_a_long_answer_arrives_whole() -> None:
    answer = await ask(_python("print('x' * 2**22)"), {}, WAIT_SECONDS)

    assert len(answer) == 2**22 + 1


async def test_the_program_gets_only_the_given_environment() -> None:
    program = "import os; print(os.environ.get('GIVEN'), os.environ.get('HOME'))"

    answer = await ask(_python(program), {"GIVEN": "this"}, WAIT_SECONDS)

    assert answer == "this None\n"


async def test_a_failing_program_is_quoted_by_the_last_line_of_its_stderr() -> None:
    program = "raise ValueError('no such thing')"

    with pytest.raises(ExecutorError, match=r"ended with exit code 1: ValueError: no such thing$"):
        await ask(_python(program), {}, WAIT_SECONDS)


async def test_a_program_that_fails_without_output_is_an_error() -> None:
    with pytest.raises(ExecutorError, match=r"ended with exit code 3: no message$"):
        await ask(_python("raise SystemExit(3)"), {}, WAIT_SECONDS)


async def test_a_program_without_an_answer_in_time_is_killed(tmp_path: Path) -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(10_000)"
    )

    with pytest.raises(ExecutorError, match=r"gave no answer within 0\.5 s$"):
        await ask([*_python(program), str(tmp_path)], {}, 0.5)

    children = psutil.Process().children()
    assert not [child for child in children if str(tmp_path) in child.cmdline()]


async def test_a_missing_program_is_named() -> None:
    with pytest.raises(ExecutorError, match=r"^cannot run /no/such/program: No such file or"):
        await ask(["/no/such/program"], dict(os.environ), WAIT_SECONDS)


async def test_a_cancelled_query_does_not_wait_for_unread_output(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    flood = f"open({str(begun)!r}, 'w')\nwhile True: print('x' * 100_000, flush=True)"
    asking = asyncio.create_task(ask(_python(flood), os.environ, 1000))
    await _until_there(begun)

    asking.cancel()

    done, _ = await asyncio.wait([asking], timeout=WAIT_SECONDS)
    assert done == {asking}


async def test_a_query_cancelled_as_the_program_ends_leaves_the_exit_status_to_asyncio(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    may_reap = threading.Event()
    waitpid = os.waitpid

    def wait_late(pid: int, options: int) -> tuple[int, int]:
        if threading.current_thread() is not threading.main_thread():
            may_reap.wait(WAIT_SECONDS)
        return waitpid(pid, options)

    monkeypatch.setattr(os, "waitpid", wait_late)
    others = set(psutil.Process().children())
    asking = asyncio.create_task(ask(_python(""), os.environ, WAIT_SECONDS))

    async def has_ended() -> bool:
        started = set(psutil.Process().children()) - others
        return any(each.status() == psutil.STATUS_ZOMBIE for each in started)

    await until(has_ended)
    asking.cancel()
    # As many passes as the cancellation may need to propagate.
    for _ in range(20):
        await asyncio.sleep(0)
    may_reap.set()
    await asyncio.wait([asking])

    assert asking.cancelled()
    assert caplog.messages == []


async def _until_there(path: Path) -> None:
    async def is_waiting() -> bool:
        return path.exists()

    await until(is_waiting)


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]
