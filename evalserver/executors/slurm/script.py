"""What Slurm is told to run: the options of sbatch, and the script on its stdin. Pure functions."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from evalserver.executors.slurm.answers import MAX_NAME

CANNOT_ENTER = 97
"""The exit code of a job whose node does not see the run directory."""

NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")

OWN_OPTIONS = (
    "array", "batch", "chdir", "clusters", "error", "export", "export-file", "get-user-env", "gid",
    "help", "hold", "ignore-pbs", "input", "job-name", "nodes", "ntasks", "no-requeue",
    "open-mode", "output", "parsable", "quiet", "requeue", "test-only", "uid", "usage", "version",
    "wait", "wrap",
)  # fmt: skip
"""Options of sbatch that would break what the executor relies on, or that it sets itself."""

OWN_LETTERS = "adDehHiJkMnNoQuVW"
"""Their short forms."""


@dataclass(frozen=True)
class SlurmSubmission:
    """A job for Slurm: ``argv`` runs in ``run_dir``, and what it prints is appended to ``log``.

    Slurm writes there as well why it ended a job. The directory of the log must exist.
    ``time_minutes`` is the limit after which Slurm ends it. None means the site's default.
    """

    name: str
    run_dir: Path
    log: Path
    argv: tuple[str, ...]
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    cpus_per_gpu: int | None = None
    mem: str | None = None
    time_minutes: int | None = None
    sbatch_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for what sbatch would read as something else."""
        if self.time_minutes is not None and self.time_minutes < 1:
            raise ValueError("a time limit of 0 minutes is none for Slurm")
        if not NAME.fullmatch(self.name):
            raise ValueError(f"the name of a job of Slurm must match {NAME.pattern}: {self.name!r}")
        for path in (self.run_dir, self.log):
            if not path.is_absolute():
                raise ValueError(f"a node needs absolute paths: {path}")
        if fault := sbatch_args_fault(self.sbatch_args):
            raise ValueError(fault)


def sbatch_options(submission: SlurmSubmission, export: str) -> tuple[str, ...]:
    """Return the options for a submission; ``export`` says which variables the job gets.

    They have no secrets: every user of the machine can read them.
    """
    values = {
        "partition": submission.partition,
        "account": submission.account,
        "qos": submission.qos,
        "constraint": submission.constraint,
        "gres": submission.gres,
        "cpus-per-gpu": submission.cpus_per_gpu,
        "mem": submission.mem,
        "time": submission.time_minutes,
    }
    return (
        # The last one counts: what follows is not the operator's to change.
        *submission.sbatch_args,
        *(f"--{name}={value}" for name, value in values.items() if value is not None),
        "--parsable",
        f"--job-name={submission.name}",
        "--nodes=1",
        "--ntasks=1",
        "--no-requeue",
        f"--export={export}",
        # The limits of the server's process, such as on locked memory, are not those of a node.
        "--propagate=NONE",
        "--input=none",
        f"--chdir={submission.run_dir}",
        f"--output={_output_pattern(str(submission.log))}",
        "--open-mode=append",
    )


def batch_script(submission: SlurmSubmission) -> str:
    """Return the script. It becomes the program itself, which so gets Slurm's signals.

    Variables of Slurm are removed: libraries that find them expect to be started by ``srun``. So
    are those that sbatch itself was run with. ``CUDA_VISIBLE_DEVICES`` and the like remain, and the
    job's ID and its node, which the runner records and passes to no harness.
    """
    return (
        "#!/bin/bash\n"
        "job=$SLURM_JOB_ID node=$SLURMD_NODENAME\n"
        "unset ${!SLURM@} ${!SBATCH@} TZ LC_ALL\n"
        "export SLURM_JOB_ID=$job SLURMD_NODENAME=$node\n"
        f"cd -- {shlex.quote(str(submission.run_dir))} || exit {CANNOT_ENTER}\n"
        f"exec {shlex.join(submission.argv)}\n"
    )


def _output_pattern(path: str) -> str:
    """Return the pattern for which Slurm takes just this path: one with a backslash is a pattern
    without replacements."""
    return path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%")


def sbatch_args_fault(arguments: tuple[str, ...]) -> str | None:
    """Return what is wrong with an operator's own options for sbatch; None if nothing."""
    for argument in arguments:
        if not argument.startswith("-") or argument in ("-", "--"):
            return f"{argument!r} is no option of sbatch: write NAME and value as --NAME=VALUE"
        name = argument.partition("=")[0]
        # sbatch takes the beginning of an option's name for it.
        is_own = argument.startswith("--") and any(
            own.startswith(name.removeprefix("--")) for own in OWN_OPTIONS
        )
        if is_own or (not argument.startswith("--") and argument[1] in OWN_LETTERS):
            return f"{name} is not allowed: evalserver sets it, or relies on it not being set"
    return None
