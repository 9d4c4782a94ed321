"""Running attempts on a Slurm cluster: hands them over, and follows them there.

The job's name is the key, and the run directory, which the nodes see as well, the authority: a lost
answer, a controller that forgot a job, and one that starts it twice change nothing about an
attempt, since only the first runner gets its start lock.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from evalserver.core.clock import utc_now
from evalserver.executors.base import (
    ClusterJob,
    ClusterNode,
    ExecutorError,
    KilledOrphans,
)
from evalserver.executors.run_directory import RunDirectoryExecutor
from evalserver.executors.runner_start import request_cancel
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.endings import End, choose_job
from evalserver.executors.slurm.follower import Patience
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.poller import SlurmPoller
from evalserver.executors.slurm.programs import SlurmError
from evalserver.executors.slurm.runner_copy import copy_runner
from evalserver.executors.slurm.shared_directory import make_run_dir
from evalserver.executors.slurm.submission_record import (
    SubmissionRecord,
    read_record,
    slurm_name,
)
from evalserver.executors.slurm.submitter import Submitter
from evalserver.executors.slurm.tracker import Tracker
from evalserver.executors.slurm.waiting import describe_waiting
from evalserver.runner.launch_spec import LaunchSpec
from evalserver.system.disk_threads import DiskThreads

log = structlog.get_logger("evalserver.executors.slurm")

LOOK_SECONDS = 1.0
NODES_SECONDS = 5.0
"""How long an answer about nodes is used: every page that shows them asks."""
MAX_LOOK_SECONDS = 30.0
NICE_PER_PRIORITY = 1000
"""Of Slurm's priority, whose parts are sums of some thousands, for one step of ours."""
MAX_NICE = 2**31 - 4
STILL_THERE = "Slurm has not ended its job yet"


class SlurmExecutor(RunDirectoryExecutor):
    """The executor for one Slurm cluster.

    It looks at a run directory every ``look_s`` seconds. ``install_runner`` brings the runner into
    the shared directory, and returns what Python runs there.
    """

    kind = "slurm"

    def __init__(
        self,
        options: SlurmOptions,
        commands: SlurmCommands | None = None,
        install_runner: Callable[[Path], Path] = copy_runner,
        patience: Patience | None = None,
        look_s: float = LOOK_SECONDS,
    ) -> None:
        self.max_handed_over = options.max_handed_over
        self._commands = commands = commands or SlurmCommands()
        self._look_s = look_s
        self._patience = patience = patience or Patience(max_silence_s=options.max_silence_s)
        self._asking_for_nodes = asyncio.Lock()
        self._nodes: Sequence[ClusterNode] | None = None
        self._nodes_seen_at = 0.0
        self._poller = SlurmPoller(commands, options.poll_s)
        super().__init__(DiskThreads("reading a run directory on a cluster", MAX_LOOK_SECONDS))
        self._submitter = Submitter(options, commands, self._poller, install_runner)
        self._tracker = Tracker(
            commands, self._poller, self._submitter.records, self._threads, patience, look_s
        )

    @property
    def fault(self) -> str | None:
        """Why Slurm or the shared directory cannot be reached; None if both can."""
        return self._poller.fault or self._tracker.disk_fault

    async def reserve(self, run_dir: Path) -> None:
        """Create the run directory, unless the shared directory is not there."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(make_run_dir, run_dir)

    async def start(self, spec: LaunchSpec) -> None:
        """Write the run directory, and submit its job unless Slurm has it already."""
        sight = await self._tracker.look(spec.run_dir)
        # What is cancelled before its submission needs no place in Slurm's queue.
        if sight is None or not (sight.is_started or sight.end or sight.is_cancelled):
            await self._submitter.submit(spec, self._patience.max_silence_s)

    async def was_started(self, run_dir: Path) -> bool:
        """Return whether Slurm may have the attempt, or has had it. Waits while nobody can say."""
        sight = await self._tracker.look(run_dir)
        while sight is None:
            await asyncio.sleep(self._look_s)
            sight = await self._tracker.look(run_dir)
        if not sight.exists or sight.is_started or sight.end is not None:
            return True
        record = await asyncio.to_thread(read_record, run_dir)
        if record is None or record.job_id is not None:
            return record is not None
        if (await self._poller.fresh()).named(record.name):
            return True
        return bool(await self._submitter.records(record))

    async def wait_started(self, run_dir: Path) -> str | None:
        """Wait for the runner's record of its start, and return the time in it."""
        first = await self._tracker.follow(run_dir, until_started=True)
        return first if isinstance(first, str) else None

    async def wait(self, run_dir: Path) -> End:
        """Wait for the end: what ``exit.json`` says, or else Slurm, after some looks at both."""
        try:
            end = await self._tracker.follow(run_dir, until_started=False)
            assert not isinstance(end, str)  # noqa: S101 - for mypy
            return end
        finally:
            self._tracker.forget(run_dir)

    async def stop(self, run_dir: Path) -> None:
        """Request the cancel in the run directory, then from Slurm. ``wait`` repeats the second
        until the job is gone."""
        await asyncio.to_thread(_request_cancel, run_dir)
        # While nothing answers, scancel takes ten seconds to give up, and a client would wait.
        if self._poller.fault is None:
            await self._tracker.cancel(run_dir)

    async def kill_orphans(self, run_dir: Path, token: str) -> KilledOrphans:
        """Slurm ends all processes of a job with it: nothing is left to kill once it is gone."""
        name = slurm_name(run_dir)
        left = [job for job in (await self._poller.fresh()).named(name) if not job.state.is_final]
        return KilledOrphans(0, STILL_THERE if left else None)

    def waiting_reason(self, run_dir: Path) -> str | None:
        """Return why Slurm has not started the attempt, and when it expects to."""
        snapshot = self._poller.snapshot
        if snapshot is None:
            return None
        return describe_waiting(snapshot.named(slurm_name(run_dir)), utc_now())

    async def prioritize(self, run_dir: Path, priority: int) -> None:
        """Change the place of a pending job among those of the cluster by its ``nice``. Only an
        administrator of Slurm may move it forward."""
        nice = max(-MAX_NICE, min(-priority * NICE_PER_PRIORITY, MAX_NICE))
        await self._tracker.attempt(
            "prioritize", self._commands.set_nice(slurm_name(run_dir), nice)
        )

    async def hold(self, run_dir: Path) -> None:
        """Keep a pending job from starting."""
        await self._tracker.attempt("hold", self._commands.hold(slurm_name(run_dir)))

    async def release(self, run_dir: Path) -> None:
        """Let a job that was held start."""
        await self._tracker.attempt("release", self._commands.release(slurm_name(run_dir)))

    async def nodes(self) -> Sequence[ClusterNode]:
        """Return the nodes of the cluster, as seen some seconds ago. Raises ExecutorError."""
        async with self._asking_for_nodes:
            if self._nodes is None or time.monotonic() - self._nodes_seen_at > NODES_SECONDS:
                self._nodes = await self._ask_for_nodes()
                self._nodes_seen_at = time.monotonic()
            return self._nodes

    async def _ask_for_nodes(self) -> Sequence[ClusterNode]:
        try:
            nodes = await self._commands.nodes()
        except SlurmError as error:
            raise ExecutorError(str(error)) from error
        return [
            ClusterNode(n.name, n.partitions, n.state, n.gres, n.gres_used, n.reason) for n in nodes
        ]

    def find_job(self, run_dir: Path) -> ClusterJob | None:
        """Return the attempt's job, as of the last look at the queue."""
        snapshot = self._poller.snapshot
        job = None if snapshot is None else choose_job(snapshot.named(slurm_name(run_dir)))
        if job is None:
            return None
        return ClusterJob(job.job_id, f"scontrol show job {job.job_id}", job.node)

    async def submission(self, run_dir: Path) -> SubmissionRecord | None:
        """Return what was submitted for the attempt, with the ID that Slurm gave to it."""
        return await self._threads.run(read_record, run_dir)


def _request_cancel(run_dir: Path) -> None:
    make_run_dir(run_dir)
    request_cancel(run_dir)
