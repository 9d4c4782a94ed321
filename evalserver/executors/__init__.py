"""Executors: where attempts run. They know processes and run directories, and no jobs table."""

from evalserver.executors.base import (
    Attempt,
    Executor,
    ExecutorError,
    Exit,
    ExitReason,
    Lost,
    NoRoom,
)
from evalserver.executors.local import LocalExecutor
from evalserver.executors.run_files import argv_of, environment_of, runner_pid, secrets_of

__all__ = [
    "Attempt",
    "Executor",
    "ExecutorError",
    "Exit",
    "ExitReason",
    "LocalExecutor",
    "Lost",
    "NoRoom",
    "argv_of",
    "environment_of",
    "runner_pid",
    "secrets_of",
]
