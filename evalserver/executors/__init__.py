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
from evalserver.executors.local import LocalExecutor, runner_pid, secrets_of

__all__ = [
    "Attempt",
    "Executor",
    "ExecutorError",
    "Exit",
    "ExitReason",
    "LocalExecutor",
    "Lost",
    "NoRoom",
    "runner_pid",
    "secrets_of",
]
