"""Engines: our adapters for harnesses, one file a harness, and what they share.

An engine is a set of pure functions of a request and of files: it builds the command line of an
attempt and reads the results that the harness left. It starts nothing.
"""

from evalserver.engines.base import Command, Engine, NoResults, Paths, Question, Results
from evalserver.engines.failed_requests import FailedRequests
from evalserver.engines.lm_eval import LmEval
from evalserver.engines.lmms_eval import LmmsEval
from evalserver.engines.progress import Progress, ProgressReader
from evalserver.engines.samples import Verdict

__all__ = [
    "Command",
    "Engine",
    "FailedRequests",
    "NoResults",
    "Paths",
    "Progress",
    "ProgressReader",
    "Question",
    "Results",
    "Verdict",
    "make_engines",
]


def make_engines(python: str, include_path: str | None) -> dict[str, Engine]:
    """Every engine by its name, for harnesses that the interpreter ``python`` runs.

    ``include_path`` is a directory of task definitions beside the harness's own.
    """
    engines: tuple[Engine, ...] = (LmmsEval(python, include_path), LmEval(python, include_path))
    return {engine.name: engine for engine in engines}
