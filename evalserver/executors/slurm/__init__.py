"""Slurm: its commands, and what it is told to run. Nothing here knows attempts or jobs of ours."""

from evalserver.executors.slurm.answers import SlurmJob, SlurmNode, SlurmState
from evalserver.executors.slurm.commands import SlurmCommands
from evalserver.executors.slurm.programs import SlurmError, SlurmRefused, SlurmUnreachable
from evalserver.executors.slurm.script import SlurmSubmission, sbatch_args_fault

__all__ = [
    "SlurmCommands",
    "SlurmError",
    "SlurmJob",
    "SlurmNode",
    "SlurmRefused",
    "SlurmState",
    "SlurmSubmission",
    "SlurmUnreachable",
    "sbatch_args_fault",
]
