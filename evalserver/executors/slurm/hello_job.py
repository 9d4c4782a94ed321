"""The job that ``evalserver doctor`` runs on a cluster, as an attempt would be run there.

Whatever happens, the job and its directory are removed at the end.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from evalserver.core.diagnosis import Finding
from evalserver.executors.slurm.advice import (
    advice_if_hopeless,
    explain_end,
    explain_refusal,
    explain_waiting,
)
from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.endings import NOT_FOUND, choose_job
from evalserver.executors.slurm.hello_directory import (
    PATIENCE_SECONDS,
    PROGRAM_NAME,
    REMOVE_SECONDS,
    HelloDirectory,
    NodeNeed,
    NoHello,
    Warn,
    hello_directory,
)
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.programs import SlurmError, SlurmRefused, SlurmUnreachable
from evalserver.executors.slurm.script import CANNOT_ENTER

NUM_GPUS = 1
LOOK_SECONDS = 0.1
MAX_QUEUE_SECONDS = 2.0
"""Between two looks at Slurm's queue."""
LOG_SECONDS = 10.0
"""How long the log of a job that failed is awaited."""
CANCEL_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Hello:
    """What the job said.

    ``delay_s`` is how many seconds a file takes to appear on the other side, the mean of both
    directions; ``clock_ahead_s``, of the node, is as exact as that. Both are None if the node did
    not see the reply. ``lacks`` is what the node should have.
    """

    job_id: str
    node: str | None
    host: str
    python: tuple[int, ...]
    uid: int
    gpus: str | None
    lacks: tuple[NodeNeed, ...]
    delay_s: float | None
    clock_ahead_s: float | None


class HelloJob:
    """One job on one cluster, which may wait ``wait_s`` seconds for its start. ``warn`` is called
    with what could not be removed."""

    def __init__(
        self,
        options: SlurmOptions,
        commands: SlurmCommands,
        needs: Sequence[NodeNeed],
        wait_s: float,
        warn: Warn,
    ) -> None:
        self._options = options
        self._commands = commands
        self._needs = tuple(needs)
        self._wait_s = wait_s
        self._warn = warn

    async def run(self) -> Hello:
        """Run the job to its end, and remove all of it, also if cancelled. Raises NoHello."""
        directory = hello_directory(self._options.run_root, self._needs, self._warn)
        async with directory as folder, self._submitted(folder) as job_id:
            said = await self._wait(folder)
            return await self._talk(folder, job_id, said, seen_at=time.time())

    @asynccontextmanager
    async def _submitted(self, folder: HelloDirectory) -> AsyncIterator[str]:
        options, path = self._options, folder.path
        argv = (options.python, "-I", "-S", str(path / PROGRAM_NAME))
        submission = options.submission(path.name, path, argv, NUM_GPUS, options.time_minutes)
        # An sbatch that is killed may have been accepted, so it is never interrupted.
        submitting = asyncio.create_task(self._commands.submit(submission))
        try:
            yield await asyncio.shield(submitting)
        except SlurmRefused as error:
            raise NoHello(explain_refusal(str(error)), may_come=error.is_temporary) from error
        except SlurmUnreachable as error:
            do = "see whether the controller answers: scontrol ping"
            raise NoHello(Finding(f"Slurm gives no answer: {error}", do)) from error
        finally:
            await asyncio.wait([submitting])
            if _may_be_there(submitting):
                await self._remove(path.name)

    async def _remove(self, name: str) -> None:
        """Cancel the job, and wait until it has ended: it may write until then."""
        end = time.monotonic() + REMOVE_SECONDS
        while True:
            try:
                if all(job.state.is_final for job in await self._jobs(name)):
                    return
                await self._commands.cancel(name)
                why = "it has not ended"
            except SlurmError as error:
                why = str(error)
            if time.monotonic() > end:
                self._warn(f"its job may still be in Slurm's queue ({why}): scancel --name={name}")
                return
            await asyncio.sleep(CANCEL_AGAIN_SECONDS)

    async def _jobs(self, name: str) -> tuple[SlurmJob, ...]:
        return tuple(job for job in await self._commands.jobs() if job.name == name)

    async def _wait(self, folder: HelloDirectory) -> dict[str, Any]:
        """Wait until the job has said hello, and return what it said."""
        began = next_look = time.monotonic()
        ended_at: float | None = None
        while True:
            if said := await folder.read_hello():
                return said
            now = time.monotonic()
            if now >= next_look:
                job = choose_job(await self._jobs(folder.path.name))
                next_look = now + min(self._options.poll_s, MAX_QUEUE_SECONDS)
                if job is not None and job.state.is_final:
                    ended_at = ended_at or now
                    if now >= ended_at + _patience_after(job):
                        raise NoHello(await self._explain_end(folder, job))
                elif job is not None and advice_if_hopeless(job.reason):
                    raise NoHello(explain_waiting(job.reason, now - began))
                elif now > began + self._wait_s:
                    raise self._too_late(job)
            await asyncio.sleep(LOOK_SECONDS)

    def _too_late(self, job: SlurmJob | None) -> NoHello:
        if job is None:
            do = "try again; see whether the controller was restarted: scontrol show config"
            return NoHello(Finding("Slurm does not know its job any more", do))
        if job.started_at is None:
            return NoHello(explain_waiting(job.reason, self._wait_s), may_come=True)
        what = (
            f"its job runs on {job.node}, but no file of it has appeared in"
            f" {self._options.run_root} within {self._wait_s:.0f} s"
        )
        do = "see whether the shared directory is slow there; --wait SECONDS waits longer"
        return NoHello(Finding(what, do))

    async def _explain_end(self, folder: HelloDirectory, job: SlurmJob) -> Finding:
        options = self._options
        return explain_end(job, options.python, str(options.run_root), await folder.last_line())

    async def _talk(
        self, folder: HelloDirectory, job_id: str, said: dict[str, Any], seen_at: float
    ) -> Hello:
        """Reply, and compare the times of both sides."""
        replied_at = time.time()
        await folder.reply()
        heard_at = await self._wait_until_heard(folder)
        job = choose_job(await self._jobs(folder.path.name))
        delay = ahead = None
        if heard_at is not None:
            there, back = seen_at - said["written_at"], heard_at - replied_at
            delay, ahead = round((there + back) / 2, 3), round((back - there) / 2, 3)
        lacks = [need for need, has in zip(self._needs, said["has"], strict=True) if not has]
        return Hello(
            job_id=job_id,
            node=None if job is None else job.node,
            host=said["host"],
            python=tuple(said["python"]),
            uid=said["uid"],
            gpus=said["gpus"],
            lacks=tuple(lacks),
            delay_s=delay,
            clock_ahead_s=ahead,
        )

    async def _wait_until_heard(self, folder: HelloDirectory) -> float | None:
        """Return when the node saw the reply, by its clock; None if it did not."""
        end = time.monotonic() + 2 * PATIENCE_SECONDS
        while time.monotonic() < end:
            if heard := await folder.read_heard():
                seen_at: float | None = heard["reply_seen_at"]
                return seen_at
            await asyncio.sleep(LOOK_SECONDS)
        return None


def _may_be_there(submitting: asyncio.Task[str]) -> bool:
    """Whether Slurm may have the job of a submission that has ended."""
    match submitting.exception():
        case SlurmRefused():
            return False
        case SlurmUnreachable(may_have_been_accepted=may_be):
            return bool(may_be)
    return True


def _patience_after(job: SlurmJob) -> float:
    """Return for how many seconds files are awaited after the job has ended."""
    if job.exit_code in (*NOT_FOUND, CANNOT_ENTER):
        return 0.0
    return PATIENCE_SECONDS if job.exit_code == 0 else LOG_SECONDS
