"""Slurm: its commands, what it is told to run, and the executor that runs attempts there."""

from evalserver.executors.slurm.answers import SlurmJob, SlurmNode, SlurmState
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.executor import SlurmExecutor
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.programs import SlurmError, SlurmRefused, SlurmUnreachable
from evalserver.executors.slurm.script import SlurmSubmission, sbatch_args_fault

__all__ = [
    "SlurmCommands",
    "SlurmError",
    "SlurmExecutor",
    "SlurmJob",
    "SlurmNode",
    "SlurmOptions",
    "SlurmRefused",
    "SlurmState",
    "SlurmSubmission",
    "SlurmUnreachable",
    "sbatch_args_fault",
]
