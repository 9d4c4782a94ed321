"""Checks of a cluster outside of jobs: whether it runs attempts, and what to do if not."""

import asyncio
import getpass
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from evalserver.core.diagnosis import Finding
from evalserver.executors.slurm.advice import advise_to_share
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.hello_directory import NodeNeed, NoHello, Warn
from evalserver.executors.slurm.hello_job import Hello, HelloJob
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.programs import SlurmError

PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
OLDEST_PYTHON = (3, 9)
"""For the runner."""
MAX_CLOCK_SECONDS = 5.0
MAX_DELAY_SECONDS = 10.0


@dataclass(frozen=True)
class ExecutorDiagnosis:
    """What was found out about one executor; None if unknown.

    ``waits`` says that its job found no free place in time, so that nobody knows whether it works.
    The names of the fields are keys in the output of ``evalserver doctor --json``. Seconds:
    ``delay_s`` until a file appears on the other side, ``clock_ahead_s`` of the node's clock.
    """

    executor: str
    type: str | None
    version: str | None = None
    cluster: str | None = None
    run_root: str | None = None
    file_system: str | None = None
    job: str | None = None
    node: str | None = None
    host: str | None = None
    python: str | None = None
    user: str | None = None
    gpus: str | None = None
    delay_s: float | None = None
    clock_ahead_s: float | None = None
    waits: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def works(self) -> bool | None:
        """Whether attempts can run there; None if that is not known."""
        if self.waits:
            return None
        return not any(finding.grave for finding in self.findings)


async def diagnose_cluster(
    name: str,
    options: SlurmOptions,
    needs: Sequence[NodeNeed],
    wait_s: float,
    warn: Warn,
) -> ExecutorDiagnosis:
    """Check a cluster, by a job there that may wait ``wait_s`` seconds for its start.

    ``warn`` is called with what could not be removed.
    """
    known = ExecutorDiagnosis(name, "slurm", run_root=str(options.run_root))
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        what = f"not in PATH: {', '.join(missing)}"
        do = "install Slurm's commands (Debian: slurm-client) and its slurm.conf on this machine"
        return replace(known, findings=(Finding(what, do),))
    commands = SlurmCommands()
    try:
        year, month = await commands.version()
        known = replace(known, version=f"{year}.{month:02}")
        known = replace(known, cluster=await commands.cluster())
    except SlurmError as error:
        do = "see whether slurmctld answers (scontrol ping) and slurm.conf is right (SLURM_CONF)"
        return replace(known, findings=(Finding(f"Slurm gives no answer: {error}", do),))
    if not await asyncio.to_thread(options.run_root.is_dir):
        what = f"{options.run_root} is not there, or is no directory"
        do = f"set run_root in [executors.{name}]; without it, start the server once"
        return replace(known, findings=(Finding(what, do),))
    known = replace(known, file_system=await asyncio.to_thread(_file_system_of, options.run_root))
    try:
        hello = await HelloJob(options, commands, needs, wait_s, warn).run()
    except NoHello as error:
        return replace(known, waits=error.may_come, findings=(error.finding,))
    return replace(
        known,
        job=hello.job_id,
        node=hello.node,
        host=hello.host,
        python=".".join(map(str, hello.python)),
        user=f"{getpass.getuser()} (uid {hello.uid})",
        gpus=hello.gpus,
        delay_s=hello.delay_s,
        clock_ahead_s=hello.clock_ahead_s,
        findings=tuple(_findings(options, hello)),
    )


def _findings(options: SlurmOptions, hello: Hello) -> Iterator[Finding]:
    node = hello.node or hello.host
    if hello.python < OLDEST_PYTHON:
        what = f"{options.python} is Python {'.'.join(map(str, hello.python))} on {node}"
        yield Finding(what, "set python to the path of a Python 3.9 or newer on the nodes")
    if hello.uid != os.getuid():
        what = f"jobs run as uid {hello.uid} on {node}, and this command as uid {os.getuid()}"
        yield Finding(what, "give the user of the server the same uid on this machine and on nodes")
    if hello.delay_s is None or hello.clock_ahead_s is None:
        what = f"{node} does not see what this machine writes in {options.run_root}"
        yield Finding(what, advise_to_share(str(options.run_root), hello.node))
        return
    if hello.delay_s > MAX_DELAY_SECONDS:
        what = f"a file takes {hello.delay_s:.0f} s to appear on the other side"
        do = "shorten the attribute cache of the mount, such as actimeo=3 of NFS"
        yield Finding(what, do, grave=False)
    if abs(hello.clock_ahead_s) - hello.delay_s > MAX_CLOCK_SECONDS:
        what = f"the clock of {node} is {describe_clock(hello.clock_ahead_s)} this machine's"
        yield Finding(what, "synchronize both by NTP: times of jobs come from nodes", grave=False)
    for need in hello.lacks:
        yield Finding(f"{node} lacks {need.what}: {need.path}", need.do, need.grave)


def describe_clock(ahead_s: float) -> str:
    """Return in words how far a clock is from another."""
    return f"{abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'}"


def _file_system_of(path: Path) -> str | None:
    """Return the type of file system of a directory, and what is mounted there."""
    place = path.resolve()
    above = {str(each) for each in (place, *place.parents)}
    mounts = [each for each in psutil.disk_partitions(all=True) if each.mountpoint in above]
    if not mounts:
        return None
    # Of several on the same directory, the last one counts.
    mount = max(reversed(mounts), key=lambda each: len(each.mountpoint))
    return f"{mount.fstype} of {mount.device} on {mount.mountpoint}"
