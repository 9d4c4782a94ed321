"""Slurm's commands as functions: submit, look, cancel, hold, release, and what accounting knows.

All of them find jobs by name, among those of this user. They raise SlurmUnreachable where there was
no answer, and those that change something SlurmRefused where the answer was no.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from evalserver.executors.slurm.answers import (
    JOB_FORMAT,
    NODE_FORMAT,
    RECORD_FORMAT,
    SlurmJob,
    SlurmNode,
    UnreadableAnswer,
    parse_jobs,
    parse_nodes,
    parse_records,
)
from evalserver.executors.slurm.programs import SlurmPrograms, SlurmUnreachable
from evalserver.executors.slurm.script import SlurmSubmission, batch_script, sbatch_options

TIMEOUT_SECONDS = 60.0
"""A client of Slurm gives up by itself after 9 to 18 s without a controller, later where a site has
configured that."""

NIL_SINCE = (23, 2)
"""From this version on, ``--export=NIL`` gives a job no variables. ``NONE`` runs the user's login
shell on the node to find some, for seconds; so before, a job gets those of sbatch: few."""

SLACK = timedelta(hours=1)
"""How far the clocks of this machine and of Slurm's may be apart."""

NO_ACCOUNTING = "accounting storage is disabled"


Value = TypeVar("Value")


class SlurmCommands:
    """One cluster, as this user sees it.

    ``environment`` has ``PATH`` and ``SLURM_CONF``, by default those of this process; a command
    that takes longer than ``timeout_s`` seconds is killed.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_SECONDS
    ) -> None:
        self._programs = SlurmPrograms(
            os.environ if environment is None else environment, timeout_s
        )
        self._user = str(os.getuid())
        self._version: tuple[int, int] | None = None
        self._cluster: str | None = None

    async def version(self) -> tuple[int, int]:
        """Return the version of Slurm's programs here, as (year, month). Read once."""
        if self._version is None:
            text = (await self._programs.run("sbatch", "--version")).require_read()
            found = re.search(r"(\d+)\.(\d+)", text)
            if found is None:
                raise SlurmUnreachable(f"sbatch --version printed no version: {text[:200]!r}")
            self._version = (int(found[1]), int(found[2]))
        return self._version

    async def cluster(self) -> str:
        """Return the name of the cluster. Read once."""
        if self._cluster is None:
            text = (await self._programs.run("scontrol", "show", "config")).require_read()
            found = re.search(r"^ClusterName\s*=\s*(\S+)", text, re.MULTILINE)
            if found is None:
                raise SlurmUnreachable("scontrol show config names no cluster")
            self._cluster = found[1]
        return self._cluster

    async def submit(self, submission: SlurmSubmission) -> str:
        """Hand a job to Slurm; returns its ID.

        Of some that it refuses, Slurm keeps a job of the same name, FAILED by BadConstraints.
        """
        export = "NIL" if await self.version() >= NIL_SINCE else "ALL"
        options = sbatch_options(submission, export)
        answer = await self._programs.run("sbatch", *options, stdin=batch_script(submission))
        text = answer.require_done()
        # A site's own sbatch may have more to say. After the ID may follow the name of a cluster.
        if not (found := re.findall(r"^(\d+)(?:;\S+)?$", text, re.MULTILINE)):
            raise SlurmUnreachable(
                f"sbatch printed no ID of a job: {text[:200]!r}", may_have_been_accepted=True
            )
        return str(found[-1])

    async def jobs(self, prefix: str = "") -> tuple[SlurmJob, ...]:
        """Return all jobs of this user that the controller knows and whose names begin so.

        It forgets a job some minutes after its end (MinJobAge), and may have forgotten it before in
        a crash.
        """
        options = ("--noheader", "--array", "--states=all", f"--user={self._user}")
        answer = await self._programs.run("squeue", *options, f"--Format={JOB_FORMAT}")
        parse = partial(parse_jobs, prefix=prefix)
        return await _parsed("squeue", parse, answer.require_read())

    async def nodes(self) -> tuple[SlurmNode, ...]:
        """Return all nodes of the cluster."""
        options = ("--noheader", "--Node", "--all", f"--Format={NODE_FORMAT}")
        answer = await self._programs.run("sinfo", *options)
        return await _parsed("sinfo", parse_nodes, answer.require_read())

    async def cancel(self, name: str) -> None:
        """End a job, pending or running. One that has ended or never was is no error."""
        answer = await self._programs.run("scancel", f"--name={name}", f"--user={self._user}")
        answer.require_done()

    async def hold(self, name: str) -> None:
        """Keep a pending job from being started. One that never was is no error."""
        (await self._programs.run("scontrol", "hold", f"jobname={name}")).require_done()

    async def release(self, name: str) -> None:
        """Let a job that was held be started. One that never was is no error."""
        (await self._programs.run("scontrol", "release", f"jobname={name}")).require_done()

    async def set_nice(self, name: str, nice: int) -> None:
        """Lower the priority of a pending job by ``nice``, whatever else that depends on. An
        administrator may also raise it."""
        job = (f"jobname={name}", f"userid={self._user}")
        (await self._programs.run("scontrol", "update", *job, f"nice={nice}")).require_done()

    async def records(self, name: str, since: datetime) -> tuple[SlurmJob, ...] | None:
        """Return what accounting knows of the jobs of this name, submitted ``since`` then.

        Nothing means unknown: records arrive late. None means that this site has no accounting.
        """
        start = f"{since - SLACK:%Y-%m-%dT%H:%M:%S}"
        options = ("--allocations", "--duplicates", "--noheader", "--parsable2")
        which = (f"--starttime={start}", f"--user={self._user}", f"--name={name}")
        answer = await self._programs.run("sacct", *options, *which, f"--format={RECORD_FORMAT}")
        if NO_ACCOUNTING in answer.stdout + answer.stderr:
            return None
        records = await _parsed("sacct", parse_records, answer.require_read())
        return tuple(record for record in records if record.name == name)


async def _parsed(program: str, parse: Callable[[str], Value], text: str) -> Value:
    # In a thread: a cluster has thousands of jobs.
    try:
        return await asyncio.to_thread(parse, text)
    except UnreadableAnswer as error:
        raise SlurmUnreachable(f"{program} printed what was not asked for: {error}") from error
