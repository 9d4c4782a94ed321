"""Following attempts on Slurm: run directory and queue are looked at until the end is known."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import structlog

from evalserver.executors.base import Exit
from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.endings import End
from evalserver.executors.slurm.follower import Follower, Patience
from evalserver.executors.slurm.poller import SlurmPoller, Snapshot
from evalserver.executors.slurm.programs import SlurmError, SlurmUnreachable
from evalserver.executors.slurm.sight import Sight, look_at, take_start_lock
from evalserver.executors.slurm.submission_record import SubmissionRecord, read_record, slurm_name
from evalserver.system.disk_threads import DiskThreads, DiskTimeout

log = structlog.get_logger("evalserver.executors.slurm")

CANCEL_AGAIN_SECONDS = 10.0


class Tracker:
    """Follows the attempts of one cluster.

    It looks at a run directory every ``look_s`` seconds. ``records`` asks accounting for one.
    """

    def __init__(
        self,
        commands: SlurmCommands,
        poller: SlurmPoller,
        records: Callable[[SubmissionRecord], Awaitable[tuple[SlurmJob, ...]]],
        threads: DiskThreads,
        patience: Patience,
        look_s: float,
    ) -> None:
        self._commands = commands
        self._poller = poller
        self._records = records
        self._threads = threads
        self._patience = patience
        self._look_s = look_s
        self._followers: dict[Path, Follower] = {}
        self._ends: dict[Path, End] = {}
        self._cancelled_at: dict[Path, float] = {}
        self._refusals: set[str] = set()
        self.disk_fault: str | None = None
        """Why a run directory could not be read at the last look; None if it could."""

    def forget(self, run_dir: Path) -> None:
        """Drop what was seen of an attempt that is followed no longer."""
        self._followers.pop(run_dir, None)
        self._cancelled_at.pop(run_dir, None)
        self._ends.pop(run_dir, None)

    async def follow(self, run_dir: Path, *, until_started: bool) -> End | str:
        """Look at run directory and queue until the attempt has ended, or its runner started."""
        name = slurm_name(run_dir)
        if run_dir in self._ends:
            # The start lock, which was taken for certainty, would now read as a start.
            return self._ends[run_dir]
        record: SubmissionRecord | None = None
        async with self._poller.watching():
            while True:
                seen = self._poller.snapshot
                sight = await self.look(run_dir)
                if sight is not None:
                    if until_started and sight.started_at is not None:
                        return sight.started_at
                    record = record or await self._read_record(run_dir)
                    follower = self._follower(run_dir, record)
                    snapshot = seen if self._is_ours(record, seen) else None
                    number = 0 if snapshot is None else snapshot.number
                    jobs = () if snapshot is None else snapshot.named(name)
                    end = follower.look(sight, number, jobs, time.monotonic())
                    if end is not None and await self._is_certain(run_dir, sight, end):
                        if sight.unseen is not None:
                            why = "this machine does not see it; the results may be incomplete"
                            log.error("a file of an attempt is missing", file=sight.unseen, why=why)
                        self._ends[run_dir] = end
                        return end
                    await self._push(run_dir, follower, sight, record)
                if seen is self._poller.snapshot:
                    await self._poller.next(self._look_s)

    async def _read_record(self, run_dir: Path) -> SubmissionRecord | None:
        try:
            return await self._threads.run(read_record, run_dir)
        except DiskTimeout:
            return None

    def _follower(self, run_dir: Path, record: SubmissionRecord | None) -> Follower:
        if run_dir not in self._followers:
            last = self._poller.snapshot
            number = 0 if last is None else last.number
            patience = self._patience_with(record)
            self._followers[run_dir] = Follower(patience, number, time.monotonic())
        return self._followers[run_dir]

    def _patience_with(self, record: SubmissionRecord | None) -> Patience:
        """Return the patience with an attempt, whose runner acts by the setting of its time."""
        of_record = 0.0 if record is None else record.max_silence_s
        silence = max(of_record, self._patience.max_silence_s)
        return replace(self._patience, max_silence_s=silence)

    async def look(self, run_dir: Path) -> Sight | None:
        """Look at a run directory. Returns None if its disk does not answer."""
        try:
            sight = await self._threads.run(look_at, run_dir)
        except (OSError, DiskTimeout) as error:
            if self.disk_fault is None:
                log.warning("a run directory cannot be read; nothing changes", error=str(error))
            self.disk_fault = f"The shared directory cannot be read: {_describe(error)}"
            return None
        self.disk_fault = None
        return sight

    def _is_ours(self, record: SubmissionRecord | None, snapshot: Snapshot | None) -> bool:
        """Whether the cluster that answered is the one that has the attempt's job."""
        if record is None or snapshot is None or snapshot.cluster == record.cluster:
            return True
        if record.cluster not in self._refusals:
            self._refusals.add(record.cluster)
            why = f"the job is on the cluster {record.cluster}, and this one is {snapshot.cluster}"
            log.error("cannot follow a job on another cluster", job=record.name, why=why)
        return False

    async def _is_certain(self, run_dir: Path, sight: Sight, end: End) -> bool:
        """Make sure that an attempt that was not started never will be."""
        if isinstance(end, Exit) or sight.is_started:
            return True
        try:
            return await self._threads.run(take_start_lock, run_dir)
        except (OSError, DiskTimeout) as error:
            log.error("cannot take the start lock of an attempt; trying again", error=str(error))
            return False

    async def _push(
        self, run_dir: Path, follower: Follower, sight: Sight, record: SubmissionRecord | None
    ) -> None:
        """Do what brings the end nearer: cancel again, ask accounting."""
        is_unwanted = sight.is_cancelled or follower.is_abandoned
        last = self._cancelled_at.get(run_dir, float("-inf"))
        if is_unwanted and follower.is_in_queue and time.monotonic() > last + CANCEL_AGAIN_SECONDS:
            await self.cancel(run_dir)
        if follower.needs_records:
            follower.remember(() if record is None else await self._records(record))

    async def cancel(self, run_dir: Path) -> None:
        """Ask Slurm to end the attempt's job."""
        self._cancelled_at[run_dir] = time.monotonic()
        await self.attempt("cancel", self._commands.cancel(slurm_name(run_dir)))

    async def attempt(self, what: str, command: Awaitable[None]) -> None:
        """Run a command that Slurm may refuse, or that may be repeated later."""
        try:
            await command
        except SlurmUnreachable as error:
            self._poller.report_unreachable(str(error))
        except SlurmError as error:
            if what not in self._refusals:
                self._refusals.add(what)
                log.warning("Slurm refused a change; not logged again", change=what, why=str(error))


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
