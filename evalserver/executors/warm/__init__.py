"""Warm parents, seen from the server: processes that have imported a harness, and fork to start an
attempt (``runner/warm/``). Every doubt leads to a cold start."""

from evalserver.executors.warm.parent import NO_ANSWER, ParentState, WarmParent
from evalserver.executors.warm.parents import ParentStatus, WarmLimits, WarmParents

__all__ = ["NO_ANSWER", "ParentState", "ParentStatus", "WarmLimits", "WarmParent", "WarmParents"]
