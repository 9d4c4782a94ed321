"""Submitting attempts to Slurm: each once, whatever answer is lost."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from evalserver.executors.base import ExecutorError, ResourcesExhausted
from evalserver.executors.runner_start import prepare
from evalserver.executors.slurm.answers import SlurmJob
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.poller import SlurmPoller
from evalserver.executors.slurm.programs import SlurmError, SlurmRefused, SlurmUnreachable
from evalserver.executors.slurm.script import SlurmSubmission
from evalserver.executors.slurm.shared_directory import make_run_dir, translate_outages
from evalserver.executors.slurm.submission_record import (
    SubmissionRecord,
    read_record,
    remove_record,
    slurm_name,
    write_record,
)
from evalserver.runner import files
from evalserver.runner.launch_spec import NOT_PLANNED, ColdStart, LaunchSpec

log = structlog.get_logger("evalserver.executors.slurm")

RUNNER_SHARE = 0.75
"""Of the silence for which an attempt is waited for, that after which its runner has ended it."""


class Submitter:
    """Submits to one cluster. ``install_runner`` brings the runner into the shared directory."""

    def __init__(
        self,
        options: SlurmOptions,
        commands: SlurmCommands,
        poller: SlurmPoller,
        install_runner: Callable[[Path], Path],
    ) -> None:
        self._options = options
        self._commands = commands
        self._poller = poller
        self._install_runner = install_runner

    async def submit(self, spec: LaunchSpec, max_silence_s: float) -> None:
        """Prepare the run directory and submit its job, unless Slurm has that already.

        A runner that cannot write for a part of ``max_silence_s`` seconds ends its harness.
        Raises ExecutorError with Slurm's words; ResourcesExhausted if it may work later.
        """
        record = await asyncio.to_thread(read_record, spec.run_dir)
        if record is not None and await self._was_accepted(spec.run_dir, record):
            return
        spec = replace(spec, max_silence_s=RUNNER_SHARE * max_silence_s)
        program = await asyncio.to_thread(self._prepare, spec)
        submission = self._submission(spec, program)
        try:
            cluster = await self._commands.cluster()
        except SlurmUnreachable as error:
            raise self._unreachable(error) from error
        record = SubmissionRecord(
            submission.name, cluster, datetime.now(UTC).isoformat(), max_silence_s=max_silence_s
        )
        await asyncio.to_thread(_write_or_raise, spec.run_dir, record)
        job_id = await self._sbatch(spec.run_dir, submission)
        await _note_answer(spec.run_dir, replace(record, job_id=job_id))
        self._poller.report_answer()

    async def records(self, record: SubmissionRecord) -> tuple[SlurmJob, ...]:
        """Return what accounting knows of a submission: nothing, if it knows or says nothing."""
        try:
            return await self._commands.records(record.name, record.time) or ()
        except SlurmError as error:
            log.info("the accounting of Slurm does not answer", why=str(error))
            return ()

    async def _was_accepted(self, run_dir: Path, record: SubmissionRecord) -> bool:
        """Look for a submission that was made before, and may have got no answer."""
        if record.job_id is not None:
            return True
        try:
            jobs = [job for job in await self._commands.jobs() if job.name == record.name]
        except SlurmUnreachable as error:
            raise self._unreachable(error) from error
        found = jobs or await self.records(record)
        if not found:
            return False
        await _note_answer(run_dir, replace(record, job_id=found[-1].job_id))
        return True

    def _prepare(self, spec: LaunchSpec) -> Path:
        with translate_outages(spec.run_dir):
            make_run_dir(spec.run_dir)
            program = self._install_runner(self._options.run_root)
            prepare(spec)
            cold = spec.warm if isinstance(spec.warm, ColdStart) else NOT_PLANNED
            files.write_start(spec.run_dir, cold.why)
            return program

    async def _sbatch(self, run_dir: Path, submission: SlurmSubmission) -> str:
        try:
            return await self._commands.submit(submission)
        except SlurmUnreachable as error:
            if not error.may_have_been_accepted:
                await _forget(run_dir)
            raise self._unreachable(error) from error
        except SlurmRefused as error:
            self._poller.report_answer()
            await _forget(run_dir)
            if error.is_temporary:
                raise ResourcesExhausted(f"Slurm takes no job now: {error}") from error
            raise ExecutorError(f"Slurm refused its job: {error}") from error

    def _unreachable(self, error: SlurmUnreachable) -> ResourcesExhausted:
        self._poller.report_unreachable(str(error))
        return ResourcesExhausted(f"Slurm cannot be reached: {error}")

    def _submission(self, spec: LaunchSpec, program: Path) -> SlurmSubmission:
        options = self._options
        return options.submission(
            slurm_name(spec.run_dir),
            spec.run_dir,
            (options.python, "-I", "-S", str(program), "--foreground", str(spec.run_dir)),
            spec.num_gpus,
            options.minutes_for(spec.timeout_s, spec.grace_s),
        )


def _write_or_raise(run_dir: Path, record: SubmissionRecord) -> None:
    with translate_outages(run_dir):
        write_record(run_dir, record)


async def _note_answer(run_dir: Path, record: SubmissionRecord) -> None:
    """Record the ID. Without it the job is found by its name."""
    try:
        await asyncio.to_thread(write_record, run_dir, record)
    except OSError as error:
        log.warning("cannot record the ID of a Slurm job", job=record.job_id, error=str(error))


async def _forget(run_dir: Path) -> None:
    try:
        await asyncio.to_thread(remove_record, run_dir)
    except OSError as error:
        log.warning("cannot remove the record of a submission", error=str(error))
