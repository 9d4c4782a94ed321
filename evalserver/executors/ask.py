"""Running a program outside of any job, for what it prints on stdout."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from evalserver.executors.base import ExecutorError

DRAIN_SECONDS = 5.0
"""How long the output of a killed program is read: its children may hold the pipes open."""


async def ask(argv: Sequence[str], env: Mapping[str, str], timeout_s: float) -> str:
    """Implement ``Executor.ask`` on this machine."""
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
            stdout, stderr = await process.communicate()
    except TimeoutError:
        raise ExecutorError(f"{argv[0]} gave no answer within {timeout_s:g} s") from None
    finally:
        if process.returncode is None:
            _kill_child(process.pid)
            # asyncio reports the end of a process only after its pipes were read to their ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await process.communicate()
    if process.returncode != 0:
        lines = stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise ExecutorError(f"{argv[0]} ended with exit code {process.returncode}: {lines[-1]}")
    return stdout.decode(errors="replace")


def _kill_child(pid: int) -> None:
    """Kill a child that has not ended yet.

    ``Process.kill`` would reap a child that has just ended. asyncio, which waits for it, would then
    find no exit status, and log "Unknown child process".
    """
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(pid, signal.SIGKILL)
