"""Engine for an operator's own evaluation program, declared in the TOML file.

The operator writes the command line with placeholders. A request fills each with one value of the
declared type, and can add neither flags nor arguments.
"""

import json
import re
import shutil
import sys
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evalserver.core.request import EvaluateRequest
from evalserver.core.suggestions import did_you_mean
from evalserver.engines.base import Command, Paths, Question, Results
from evalserver.engines.command_table import ALWAYS, CACHE, FIELDS, TASK, read_table
from evalserver.engines.engine import Engine
from evalserver.engines.harness import NO_LIMIT
from evalserver.engines.patterns import PatternReader
from evalserver.engines.progress import ProgressReader, TqdmReader
from evalserver.engines.results import MAX_ENTRIES, build_results, load_results
from evalserver.engines.settings import EngineSettings
from evalserver.engines.template import TemplateError, fill_all
from evalserver.system.untrusted_files import UntrustedDirectory, list_names


class CommandEngine(Engine):
    """An operator's own program. Raises ValueError when its table is invalid."""

    reasons = MappingProxyType(
        {
            "harness_args": "A program of the operator's takes its arguments as model_args.",
            "gen_kwargs": "A program of the operator's takes its arguments as model_args.",
            "predict_only": "A program of the operator's always computes its metrics.",
        }
    )

    rejects_extra_args = "write them into argv"

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._table = read_table(settings)
        self.caches_by_default = CACHE in self._table.places
        self.accepts = frozenset(
            {"model_args", "log_samples", *(name for name in FIELDS if name in self._table.places)}
        ) | ({"use_cache"} if self.caches_by_default else set())

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the operator's command line with the request's values filled in."""
        values = {
            **self._values(request),
            "output_dir": str(paths.output_dir),
            "run_dir": str(paths.run_dir),
        }
        if request.use_cache is not False:
            values[CACHE] = str(paths.cache_dir)
        return Command(
            fill_all(self._table.argv, values), directories=(paths.output_dir, paths.cache_dir)
        )

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """Values that the parameters do not take, or that would be taken for flags."""
        found: dict[str, str] = {}
        if isinstance(request.seed, list) and "seed" in self.accepts:
            found["seed"] = "Must be a single number for this engine."
        given = request.model_args or {}
        for name, value in given.items():
            found.update(self._reject_argument(name, value))
        for parameter in self._table.parameters.values():
            if parameter.required and given.get(parameter.name) is None:
                found[f"model_args.{parameter.name}"] = "Missing: this engine requires it."
        return found or self._reject_flags(request)

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return the metrics in the program's results file, and the paths of its samples files."""
        directory = UntrustedDirectory.for_attempt(paths.output_dir)
        content = _add_filters(load_results(directory, self._table.results))
        samples = (
            []
            if self._table.samples is None or not request.log_samples
            else self._find_samples(directory)
        )
        name = str(content.get("model_source") or request.model)
        path = paths.output_dir / self._table.results
        return build_results({name: (path, content, samples)}, request)

    def samples_files(self, result: Mapping[str, Any]) -> dict[str, Path]:
        """Return the samples files by the task in their names."""
        if self._table.samples is None:
            return {}
        pattern = re.compile(
            re.escape(Path(self._table.samples).name).replace(re.escape(TASK), "(.+)")
        )
        paths = (Path(each) for part in result.values() for each in part.get("samples", ()))
        return {found[1]: path for path in paths if (found := pattern.fullmatch(path.name))}

    def progress_reader(self) -> ProgressReader:
        """Return a reader of the operator's pattern; of tqdm bars if there is none."""
        return TqdmReader() if self._table.progress is None else PatternReader(self._table.progress)

    @property
    def executable(self) -> str:
        """The program: the first item of the command line."""
        return str(self._table.argv[0].fill({"python": self.settings.python}))

    def version_argv(self) -> tuple[str, ...]:
        """Return the operator's command; without one, a command that prints the program's files."""
        if self._table.version:
            return self._table.version
        return (
            sys.executable,
            "-c",
            "import sys; print(sys.argv[1:])",
            *self._list_program_files(),
        )

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """Return a command that prints the operator's list of tasks; the program cannot be
        asked."""
        known = list(self._table.tasks) if question is Question.TASKS else []
        return (sys.executable, "-c", "import sys; print(sys.argv[1])", json.dumps(known))

    def is_known(self, question: Question, name: str, known: Collection[str]) -> bool:
        """Return whether a task is known. Models are checked against the settings instead."""
        return question is Question.MODELS or super().is_known(question, name, known)

    def _values(self, request: EvaluateRequest) -> dict[str, str]:
        """Return the values of placeholders, except those of an attempt."""
        limit = None if request.limit == NO_LIMIT else request.limit
        fields = {**{name: getattr(request, name) for name in FIELDS}, "limit": limit}
        values = {name: str(value) for name, value in fields.items() if value is not None}
        values |= {
            "model": request.model,
            "tasks": ",".join(request.tasks),
            "python": self.settings.python,
            "num_gpus": str(request.num_gpus),
        }
        given = request.model_args or {}
        for parameter in self._table.parameters.values():
            value = given.get(parameter.name)
            value = parameter.default if value is None else value
            if value is not None:
                values[parameter.name] = parameter.text(value)
        return values

    def _reject_argument(self, name: str, value: Any) -> dict[str, str]:
        parameter = self._table.parameters.get(name)
        if parameter is None:
            known = ", ".join(self._table.parameters) or "none"
            hint = did_you_mean(name, self._table.parameters)
            sentence: str | None = f"Unknown parameter.{hint} Known parameters: {known}."
        else:
            sentence = None if value is None else parameter.invalid_reason(value)
        return {f"model_args.{name}": sentence} if sentence else {}

    def _reject_flags(self, request: EvaluateRequest) -> dict[str, str]:
        places = dict.fromkeys((*ALWAYS, CACHE), "/")
        try:
            fill_all(self._table.argv, {**places, **self._values(request)})
        except TemplateError as fault:
            name = str(fault.args[0])
            field = f"model_args.{name}" if name in self._table.parameters else name
            return {field: "Must not begin with '-': it would be taken for a flag."}
        return {}

    def _list_program_files(self) -> list[str]:
        """Return the program and the files among its fixed arguments, with their modification
        times."""
        fixed = [each.text for each in self._table.argv[1:]]
        found = [shutil.which(self.executable) or self.executable, *fixed]
        files = (Path(each) for each in found if Path(each).is_file())
        return [f"{path} {path.stat().st_mtime_ns}" for path in files] or [found[0]]

    def _find_samples(self, directory: UntrustedDirectory) -> list[str]:
        found = [directory]
        *folders, name = str(self._table.samples).replace(TASK, "*").split("/")
        for pattern in folders:
            found = [
                place.below(each) for place in found for each in _match_folders(place, pattern)
            ]
        names = ((place, list_names(place, MAX_ENTRIES)) for place in found)
        return sorted(
            str(place.path / each)
            for place, there in names
            for each, is_folder in there.items()
            if fnmatchcase(each, name) and not is_folder
        )


def _match_folders(directory: UntrustedDirectory, pattern: str) -> list[str]:
    names = list_names(directory, MAX_ENTRIES)
    return [each for each, is_folder in names.items() if is_folder and fnmatchcase(each, pattern)]


def _add_filters(content: dict[str, Any]) -> dict[str, Any]:
    """Add the filter ``none`` to metrics without a filter."""
    results = {
        task: {key if "," in key else f"{key},none": value for key, value in values.items()}
        for task, values in content["results"].items()
        if isinstance(values, Mapping)
    }
    return {**content, "results": results}
