"""What every engine is: the one class that an adapter for a further harness derives from.

``docs/engines.md`` shows one, from its first line to the server that runs it.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from evalserver.core.request import REQUEST_FIELDS, EvaluateRequest
from evalserver.core.request_fields import Addressee
from evalserver.engines import in_harness
from evalserver.engines.base import Command, Paths, Question, Results
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


class Engine(ABC):
    """The adapter for one harness: pure functions of a request and of files. It starts nothing.

    A subclass needs no more than ``command``, and a harness that writes its results in the form of
    ``docs/engines.md``. Raises ValueError at construction when its settings are not allowed.
    """

    package: ClassVar[str | None] = None
    """The name under which the harness is installed, for its version."""
    written_for: ClassVar[str | None] = None
    """The version of it that the engine was written against."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Others that numbers depend on."""
    file_names: ClassVar[FileNames] = USUAL_FILES
    accepts: frozenset[str] = frozenset()
    """The fields of a request that reach the harness, beside ``model`` and ``tasks``: of those that
    are addressed to it (``core/request.py``). Requests that set another of them are rejected."""
    reasons: Mapping[str, str] = {}
    """For fields that are not accepted: a sentence that says why, or what to do instead."""
    caches_by_default: bool = False
    """Whether ``use_cache`` holds for requests that do not set it."""
    questions: ClassVar[Mapping[Question, str]] = {}
    """Python that prints a JSON list of names on its last line, run by the harness's interpreter;
    its argument is the directory of task definitions, or an empty text."""

    def __init__(self, settings: EngineSettings) -> None:
        require_no_options(settings)
        self.settings = settings

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.settings.name

    @property
    def python(self) -> str:
        """The interpreter of the harness."""
        return self.settings.python

    @abstractmethod
    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """How to run the harness so that every field of the request reaches it."""

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """The accepted fields whose values the harness cannot use, with a sentence for each."""
        return {}

    def find_faults(self, request: EvaluateRequest) -> dict[str, str]:
        """Every field that the harness cannot use as it is, with a sentence for each."""
        return {**self._not_accepted(request), **self.invalid_values(request)}

    def accepts_value(self, name: str, value: Any) -> bool:
        """Whether this value of a field reaches the harness, or does not have to."""
        row = REQUEST_FIELDS[name]
        always = row.required or row.addressee is Addressee.SERVER
        return always or name in self.accepts or row.is_neutral(value)

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """What an attempt left in its output directory, for all tasks that were asked for.

        Raises NoResults.
        """
        return read_results(paths.output_dir, request.tasks, self.file_names)

    def samples_files(self, result: Mapping[str, Any]) -> dict[str, Path]:
        """The file of each task that has samples, among those that a job's result names."""
        return files_by_task(result, self.file_names.task)

    def verdict(self, sample: Mapping[str, Any], metric: str) -> Verdict | None:
        """Was this sample, a line of a samples file, answered right? None: the metric says nothing.

        Only for a metric of which more is better.
        """
        return verdict(sample, metric)

    def score(self, sample: Mapping[str, Any], metric: str) -> float | None:
        """The number that this sample got; None: it has none of its own under this metric."""
        return score(sample, metric)

    def filter_of(self, sample: Mapping[str, Any]) -> str | None:
        """Under which of its task's filters the sample was judged; None: it does not say."""
        name = sample.get("filter")
        return name if isinstance(name, str) else None

    def progress_reader(self) -> ProgressReader:
        """What reads progress from the log of one attempt: here, bars of tqdm."""
        return TqdmReader()

    @property
    def executable(self) -> str:
        """What an attempt runs."""
        return self.settings.python

    def probe_argv(self) -> tuple[str, ...]:
        """A command that prints what numbers depend on, as a line of JSON."""
        names = (self.package,) if self.package else ()
        return (self.settings.python, str(PROBE), *names, *self.packages)

    def version_argv(self) -> tuple[str, ...]:
        """A command that prints what answers depend on: the harness's version; it is quick.

        It asks the package's metadata, and so imports nothing heavy.
        """
        version = f"version({self.package!r})" if self.package else "''"
        code = (
            f"import sys; from importlib.metadata import version; print({version}, sys.executable)"
        )
        return (self.settings.python, "-c", code)

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """A command that prints the answer to a question on the last line of stdout."""
        code = self.questions.get(question, "print([])")
        return (self.settings.python, "-c", code, self.settings.include_path or "")

    def parse_answer(self, output: str) -> list[str]:
        """The names in the output of a question. Raises ValueError when there is no list."""
        lines = output.strip().splitlines()
        names = json.loads(lines[-1]) if lines else None
        if not isinstance(names, list):
            raise ValueError("the harness printed no list of names")
        return [str(name) for name in names]

    def is_known(self, question: Question, name: str, known: Collection[str]) -> bool:
        """Is a task or a model of this name among those that the harness knows?"""
        if name in known:
            return True
        wildcard = question is Question.TASKS and not WILDCARDS.isdisjoint(name)
        return wildcard and any(fnmatchcase(each, name) for each in known)

    def _not_accepted(self, request: EvaluateRequest) -> dict[str, str]:
        return {
            name: self.reasons.get(name, f"The engine {self.name} does not accept this field.")
            for name, value in vars(request).items()
            if not self.accepts_value(name, value)
        }
