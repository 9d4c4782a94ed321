"""What lmms-eval and lm-eval share: the one is a fork of the other, their flags and files are
nearly the same. What differs is told by the two engines' own files.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from evalserver.engines.base import Command, Paths, Question, Results
from evalserver.engines.progress import ProgressReader
from evalserver.engines.results import FileNames, read_results
from evalserver.engines.samples import Verdict, files_by_task, score, verdict
from evalserver.job import EvaluateRequest

CONFIG_FILE = "config.yaml"
"""In the run directory: the arguments that no flag can carry."""

WHOLE_DATA_SET = -1
"""The ``limit`` that means no limit."""


class Harness(ABC):
    """An engine of the lm-eval family, run by the interpreter ``python``."""

    name: str
    package: str
    """The name under which the harness is installed."""
    program: tuple[str, ...]
    """What follows the interpreter: ``-m``, the module, and its subcommand if it has one."""
    file_names: FileNames
    caches_by_default = False
    questions: dict[Question, str]
    """Python that prints a JSON list of names."""

    def __init__(self, python: str, include_path: str | None) -> None:
        self.python = python
        self._include_path = include_path

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """The harness's command line, with a configuration file where a flag cannot carry it."""
        flags = [*self._flags(request), f"--output_path={paths.output_dir}"]
        directories: tuple[Path, ...] = (paths.output_dir,)
        if request.use_cache:
            flags.append(f"--use_cache={self._cache_target(paths.cache_dir)}")
            directories += (paths.cache_dir,)
        dict_flags, config = self._dict_arguments(request)
        argv = (*self._launcher(request.num_gpus), *self.program)
        if not config:
            return Command((*argv, *flags, *dict_flags), directories=directories)
        config_flag = f"--config={paths.run_dir / CONFIG_FILE}"
        # In ASCII, so that the harness's locale does not matter, and that U+0085 is not folded.
        text = yaml.safe_dump(config, sort_keys=False)
        return Command((*argv, config_flag, *flags, *dict_flags), {CONFIG_FILE: text}, directories)

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """The newest results of each model folder in the output directory."""
        return read_results(paths.output_dir, request.tasks, self.file_names)

    def samples_files(self, result: Mapping[str, Any]) -> dict[str, Path]:
        """By the files' names."""
        return files_by_task(result, self.file_names.task)

    def verdict(self, sample: Mapping[str, Any], metric: str) -> Verdict | None:
        """As the sample's own values say."""
        return verdict(sample, metric)

    def score(self, sample: Mapping[str, Any], metric: str) -> float | None:
        """As the sample's own values say."""
        return score(sample, metric)

    def filter_of(self, sample: Mapping[str, Any]) -> str | None:
        """As the sample says."""
        name = sample.get("filter")
        return name if isinstance(name, str) else None

    def progress_reader(self) -> ProgressReader:
        """Reads bars of tqdm, and what both harnesses say they do next."""
        return ProgressReader()

    def version_argv(self) -> tuple[str, ...]:
        """Prints version and interpreter; asks the package's metadata, so imports nothing heavy."""
        code = (
            "import sys; from importlib.metadata import version;"
            f" print(version({self.package!r}), sys.executable)"
        )
        return (self.python, "-c", code)

    def question_argv(self, question: Question) -> tuple[str, ...]:
        """Prints a JSON list of names."""
        return (self.python, "-c", self.questions[question], self._include_path or "")

    def parse_answer(self, output: str) -> list[str]:
        """The names in the last line of the output."""
        lines = output.strip().splitlines()
        names = json.loads(lines[-1]) if lines else None
        if not isinstance(names, list):
            raise ValueError("the harness printed no list of names")
        return [str(name) for name in names]

    @abstractmethod
    def _dict_arguments(self, request: EvaluateRequest) -> tuple[list[str], dict[str, Any]]:
        """``model_args`` and ``gen_kwargs``: as flags, or as entries of the configuration file."""

    @abstractmethod
    def _cache_target(self, cache_dir: Path) -> Path:
        """What ``--use_cache`` takes to keep its cache in ``cache_dir``."""

    def _limit(self, limit: int | float | None) -> int | float | None:
        return limit

    def _launcher(self, num_gpus: int) -> tuple[str, ...]:
        if num_gpus == 1:
            return (self.python,)
        return (
            self.python,
            *("-m", "accelerate.commands.launch", "--multi_gpu"),
            *("--num_processes", str(num_gpus), "--num_machines", "1"),
        )

    def _flags(self, request: EvaluateRequest) -> list[str]:
        values: dict[str, object] = {
            "model": request.model,
            "tasks": ",".join(request.tasks),
            "num_fewshot": request.num_fewshot,
            "batch_size": request.batch_size,
            "device": request.device,
            "limit": self._limit(request.limit),
            "seed": request.seed,
            "include_path": self._include_path,
        }
        flags = [f"--{name}={value}" for name, value in values.items() if value is not None]
        switches = {"log_samples": request.log_samples, "predict_only": request.predict_only}
        return flags + [f"--{name}" for name, given in switches.items() if given]
