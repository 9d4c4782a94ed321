"""One warm parent: its process, and the messages to it (``runner/warm/protocol.py``)."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from evalserver.executors.warm.key import ParentKey
from evalserver.executors.warm.memory import Memory, memory_of
from evalserver.runner.launch_spec import ColdStart, WarmPlan
from evalserver.runner.warm.command import parent_command, parent_environment
from evalserver.runner.warm.protocol import MAX_MESSAGE_BYTES, parse_message

LOAD_SECONDS = 300.0
START_SECONDS = 10.0
END_SECONDS = 2.0

LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

NO_ANSWER = "no_answer"
"""The code of a start of which it is unknown whether it has begun."""


class ParentState(StrEnum):
    """What a parent does now."""

    LOADING = "loading"
    READY = "ready"
    ENDED = "ended"


class ParentUnusable(Exception):
    """A parent cannot be used; says why."""


class WarmParent:
    """A process that imports a harness and forks to start attempts.

    It ends when its end of the socket is closed, and so with the server. Use it within one event
    loop.
    """

    def __init__(self, key: ParentKey, plan: WarmPlan, log: Path, start_s: float) -> None:
        self.key = key
        self.plan = plan
        self.log = log
        self.state = ParentState.LOADING
        self.version: str | None = None
        """The version of its harness, once it is ready."""
        self.starts = 0
        self.used_at = time.monotonic()
        self._start_s = start_s
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The pid of its process."""
        return None if self._process is None else self._process.pid

    @property
    def is_busy(self) -> bool:
        """Whether it starts an attempt now."""
        return self._turn.locked()

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended, or is about to."""
        gone = self._process is not None and self._process.returncode is not None
        return self.state is ParentState.ENDED or gone

    async def load(self) -> None:
        """Start the process, and wait until it has imported the harness.

        Raises ParentUnusable.
        """
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                await self._spawn()
                answer = await self._receive()
        except TimeoutError:
            raise ParentUnusable(f"it did not load within {LOAD_SECONDS:g} s") from None
        except (OSError, ValueError) as error:
            raise ParentUnusable(f"it did not load: {error}") from error
        if answer.get("ready") is not True:
            raise ParentUnusable(str(answer.get("unusable", f"it said {answer!r}")))
        version = answer.get("harness")
        self.version = version if isinstance(version, str) else None
        self.state = ParentState.READY

    async def start(self, run_dir: Path, variables: Mapping[str, str]) -> int | ColdStart:
        """Start the attempt in a run directory; return the exit code of the runner's program.

        Returns why not, if it was not started; with the code NO_ANSWER, it may have been. Ends the
        parent then.
        """
        async with self._turn:
            if self.has_ended:
                await self.end()
                return ColdStart("ended", "the warm parent had ended")
            self.used_at = time.monotonic()
            try:
                async with asyncio.timeout(self._start_s):
                    await self._send({"start": str(run_dir), "environment": dict(variables)})
                    answer = await self._receive()
            except TimeoutError:
                why = f"the warm parent did not answer within {self._start_s:g} s"
                cold = ColdStart(NO_ANSWER, why)
            except (OSError, ValueError) as error:
                cold = ColdStart(NO_ANSWER, f"the warm parent failed: {error}")
            else:
                code = answer.get("code")
                if isinstance(code, int):
                    self.starts += 1
                    return code
                cold = ColdStart("refused", str(answer.get("refused", f"it said {answer!r}")))
            await self.end()
            return cold

    async def memory(self) -> Memory | None:
        """Return its memory; None if it has ended."""
        return None if self.pid is None else await asyncio.to_thread(memory_of, self.pid)

    async def end(self) -> None:
        """End the process, and return when it has ended. Attempts that it started continue."""
        self.state = ParentState.ENDED
        if self._writer is not None:
            self._writer.close()
        process = self._process
        if process is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
                return
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def _spawn(self) -> None:
        ours, its = socket.socketpair()
        try:
            log = os.open(self.log, LOG_FLAGS, 0o600)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *parent_command(
                        self.key.python,
                        its.fileno(),
                        self.key.preload,
                        self.key.include_path or "",
                    ),
                    env=parent_environment(self.key.variables),
                    cwd=self.key.directory,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(its.fileno(),),
                    start_new_session=True,
                )
            finally:
                os.close(log)
            self._reader, self._writer = await asyncio.open_connection(
                sock=ours, limit=MAX_MESSAGE_BYTES
            )
        finally:
            its.close()
            if self._writer is None:
                ours.close()

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._writer is None:
            raise ConnectionError("it is not connected")
        self._writer.write(json.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def _receive(self) -> dict[str, Any]:
        """Return the next message. Raises OSError, or ValueError for an invalid one."""
        if self._reader is None:
            raise ConnectionError("it is not connected")
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError(f"it has ended; see {self.log}")
        return parse_message(line)
