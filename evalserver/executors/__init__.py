"""Executors: where attempts run. They know processes and run directories, but not the store."""

from evalserver.executors.base import (
    AttemptInfo,
    Cancelled,
    Cluster,
    ClusterJob,
    ClusterNode,
    Executor,
    ExecutorError,
    Exit,
    ExitReason,
    KilledOrphans,
    Lost,
    ResourcesExhausted,
)
from evalserver.executors.local import LocalExecutor
from evalserver.executors.registry import Executors
from evalserver.executors.runner_start import can_limit_memory
from evalserver.executors.warm import WarmLimits, WarmParents
from evalserver.runner.launch_spec import GPU_VARIABLES, ColdStart, Command, LaunchSpec, WarmPlan

__all__ = [
    "GPU_VARIABLES",
    "AttemptInfo",
    "Cancelled",
    "Cluster",
    "ClusterJob",
    "ClusterNode",
    "ColdStart",
    "Command",
    "Executor",
    "ExecutorError",
    "Executors",
    "Exit",
    "ExitReason",
    "KilledOrphans",
    "LaunchSpec",
    "LocalExecutor",
    "Lost",
    "ResourcesExhausted",
    "WarmLimits",
    "WarmParents",
    "WarmPlan",
    "can_limit_memory",
]
