"""Asking a program one question outside of any job: run it, wait for its answer on stdout."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from evalserver.executors.base import ExecutorError

PATIENCE_SECONDS = 5.0
"""For the end of a program that was killed: what it had started may hold its pipes open."""


async def ask(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str:
    """What the program prints on stdout.

    Raises ExecutorError, with the last line of its stderr, when it cannot be run, fails, or takes
    longer than ``timeout_s`` seconds.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ExecutorError(f"cannot run {argv[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(timeout_s):
            output, complaint = await process.communicate()
    except TimeoutError:
        raise ExecutorError(f"{argv[0]} gave no answer within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            _kill_child(process.pid)
            # Read to the end: what nobody reads keeps the pipe open, and then no end is seen.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await process.communicate()
    if process.returncode != 0:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no message"]
        raise ExecutorError(f"{argv[0]} ended with exit code {process.returncode}: {lines[-1]}")
    return output.decode(errors="replace")


def _kill_child(pid: int) -> None:
    """Kill a child that has not ended yet.

    ``Process.kill`` would reap a child that has just ended, so that asyncio, which waits for it,
    finds no exit status and logs "Unknown child process".
    """
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, signal.SIGKILL)
