"""Engines: adapters for harnesses, one file per harness, and what they share.

An engine is a set of pure functions of a request and of files: it builds the command line of an
attempt, and reads the results that the harness wrote. It starts no processes.
"""

from evalserver.engines.base import Command, NoResults, Paths, Question, Results
from evalserver.engines.engine import USUAL_FILES, Engine
from evalserver.engines.failed_requests import FailedRequests
from evalserver.engines.patterns import PatternReader
from evalserver.engines.plugins import all_tables, make_engine, make_engines
from evalserver.engines.progress import Progress, ProgressReader, TqdmReader
from evalserver.engines.results import FileNames
from evalserver.engines.samples import Verdict
from evalserver.engines.settings import DEFAULTS, EngineSettings, find_program
from evalserver.engines.stages import MergeThenEvaluateReader

__all__ = [
    "DEFAULTS",
    "USUAL_FILES",
    "Command",
    "Engine",
    "EngineSettings",
    "FailedRequests",
    "FileNames",
    "MergeThenEvaluateReader",
    "NoResults",
    "Paths",
    "PatternReader",
    "Progress",
    "ProgressReader",
    "Question",
    "Results",
    "TqdmReader",
    "Verdict",
    "all_tables",
    "find_program",
    "make_engine",
    "make_engines",
]
