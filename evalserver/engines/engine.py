"""The base class of every engine. ``docs/engines.md`` has a complete example."""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from evalserver.core.request import REQUEST_FIELDS, EvaluateRequest
from evalserver.core.request_fields import Addressee
from evalserver.core.task_names import is_in_package
from evalserver.engines import in_harness
from evalserver.engines.base import Command, Paths, Question, Results, WarmHarness
from evalserver.engines.options import Option, find_option_faults
from evalserver.engines.progress import ProgressReader, TqdmReader
from evalserver.engines.results import FileNames, read_results
from evalserver.engines.samples import Verdict, files_by_task, score, verdict
from evalserver.engines.settings import EngineSettings, require_no_options

USUAL_FILES = FileNames(
    "*_results.json",
    "*_samples_*.jsonl",
    stamp=lambda stem: stem.partition("_results")[0].partition("_samples_")[0],
    task=lambda stem: stem.partition("_samples_")[2],
)
"""``<stamp>_results.json`` and ``<stamp>_samples_<task>.jsonl``."""


WILDCARDS = frozenset("*?[")
PROBE = Path(in_harness.__file__).with_name("probe.py")
STATE = Path(in_harness.__file__).with_name("state.py")


class Engine(ABC):
    """The adapter for one harness: pure functions of a request and of files.

    A subclass needs no more than ``accepts`` and ``command``, if the harness writes its results in
    the form of ``docs/engines.md``. The constructor raises ValueError for invalid settings.
    """

    package: ClassVar[str | None] = None
    """The distribution package of the harness, whose version is reported."""
    written_for: ClassVar[str | None] = None
    """The version of the harness that the engine was written for."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Other packages that results depend on."""
    file_names: ClassVar[FileNames] = USUAL_FILES
    accepts: frozenset[str] = frozenset()
    """The fields of a request that reach the harness, beside ``model`` and ``tasks``: of those that
    are addressed to it (``core/request.py``). Requests that set another of them are rejected."""
    reasons: Mapping[str, str] = {}
    """For fields that are not accepted: a sentence that says why, or what to do instead."""
    options: Mapping[str, Option] = MappingProxyType({})
    """The options of the harness that ``harness_args`` may have, if that is among ``accepts``."""
    rejects_extra_args: ClassVar[str] = "this type of engine takes no further arguments"
    """Why the operator cannot set ``extra_args``; empty if they are part of the command."""
    caches_by_default: bool = False
    """Whether ``use_cache`` holds for requests that do not set it."""
    warm: ClassVar[WarmHarness | None] = None
    """How the harness can be started warm; None if it cannot."""
    questions: ClassVar[Mapping[Question, str]] = {}
    """Python code that prints a JSON list of names on its last line, run by the harness's
    interpreter; its argument is the directory of task definitions, or empty."""

    def __init__(self, settings: EngineSettings) -> None:
        require_no_options(settings)
        self.settings = settings

    @property
    def name(self) -> str:
        """The name of the engine in requests."""
        return self.settings.name

    @property
    def module(self) -> str:
        """The import name of the harness; by default the package's, with underscores."""
        return (self.package or "").replace("-", "_")

    @property
    def python(self) -> str:
        """The interpreter of the harness."""
        return self.settings.python

    @abstractmethod
    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the command that runs the harness with every accepted field of the request."""

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """The accepted fields whose values the harness cannot use, with a sentence for each."""
        return {}

    def normalized(self, request: EvaluateRequest) -> EvaluateRequest:
        """Return the request with one spelling for what the harness calls by several names."""
        return request

    def find_faults(self, request: EvaluateRequest) -> dict[str, str]:
        """Every field that the harness cannot use as it is, with a sentence for each."""
        return {
            **_paths_of_tasks(request),
            **self._not_accepted(request),
            **self._option_faults(request),
            **self.invalid_values(request),
        }

    def accepts_value(self, name: str, value: Any) -> bool:
        """Whether this value of a field reaches the harness, or does not have to."""
        return name not in self._rejected_fields or REQUEST_FIELDS[name].is_neutral(value)

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return the results in the attempt's output directory, with findings of what is odd.

        Also called when the harness did not succeed. Raises NoResults.
        """
        return read_results(paths.output_dir, request, self.file_names)

    def samples_files(self, result: Mapping[str, Any]) -> dict[str, Path]:
        """Return the samples file of each task, from those that a job's result names."""
        return files_by_task(result, self.file_names.task)

    def verdict(self, sample: Mapping[str, Any], metric: str) -> Verdict | None:
        """Return whether a sample (a line of a samples file) is right; None if the metric does not
        decide. Only for metrics of which higher is better.
        """
        return verdict(sample, metric)

    def score(self, sample: Mapping[str, Any], metric: str) -> float | None:
        """Return the sample's score under a metric; None if it has no score of its own."""
        return score(sample, metric)

    def filter_of(self, sample: Mapping[str, Any]) -> str | None:
        """Return the filter under which the sample was judged; None if it does not say."""
        name = sample.get("filter")
        return name if isinstance(name, str) else None

    def progress_reader(self) -> ProgressReader:
        """Return a reader of progress in the log of one attempt; by default of tqdm bars."""
        return TqdmReader()

    def starts_one_process(self, request: EvaluateRequest) -> bool:
        """Whether the command is the harness itself, and no program that starts it."""
        del request
        return True

    @property
    def executable(self) -> str:
        """The program that an attempt runs."""
        return self.settings.python

    def probe_argv(self) -> tuple[str, ...]:
        """Return a command that prints the versions that results depend on, as a line of JSON."""
        names = (self.module, self.package) if self.package else ("",)
        return (self.settings.python, str(PROBE), *names, *self.packages)

    def version_argv(self) -> tuple[str, ...]:
        """Return a quick command that prints what lists of names depend on: the harness's version,
        and the state of its files.

        It reads the package's metadata and lists its files, without importing the harness.
        """
        return (self.settings.python, str(STATE), self.package or "", self.module)

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """Return a command that prints the answer to a question on the last line of stdout."""
        code = self.questions.get(question, "print([])")
        return (self.settings.python, "-c", code, self.settings.include_path or "")

    def parse_answer(self, output: str) -> list[str]:
        """Return the names in the output of a question. Raises ValueError when there is no list."""
        lines = output.strip().splitlines()
        names = json.loads(lines[-1]) if lines else None
        if not isinstance(names, list):
            raise ValueError("the harness printed no list of names")
        return [str(name) for name in names]

    def is_known(self, question: Question, name: str, known: Collection[str]) -> bool:
        """Return whether a task or a model is among those that the harness knows."""
        if name in known:
            return True
        wildcard = question is Question.TASKS and not WILDCARDS.isdisjoint(name)
        return wildcard and any(fnmatchcase(each, name) for each in known)

    def _option_faults(self, request: EvaluateRequest) -> dict[str, str]:
        if "harness_args" not in self.accepts:
            return {}
        return find_option_faults(self.options, request.harness_args, self.settings)

    def _not_accepted(self, request: EvaluateRequest) -> dict[str, str]:
        return {
            name: self.reasons.get(name, f"The engine {self.name} does not accept this field.")
            for name in self._rejected_fields
            if not REQUEST_FIELDS[name].is_neutral(getattr(request, name))
        }

    @cached_property
    def _rejected_fields(self) -> tuple[str, ...]:
        """The fields that must be left out."""
        return tuple(
            name
            for name, row in REQUEST_FIELDS.items()
            if not row.required
            and row.addressee is not Addressee.SERVER
            and name not in self.accepts
        )


def _paths_of_tasks(request: EvaluateRequest) -> dict[str, str]:
    """Return tasks that are ``package/task``: any harness but Inspect takes them for paths."""
    return {
        f"tasks.{at}": "Must be the name of a registered task, not a path."
        for at, name in enumerate(request.tasks)
        if is_in_package(name)
    }
