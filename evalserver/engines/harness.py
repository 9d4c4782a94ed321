"""What the engines of lmms-eval and lm-eval share: one harness is a fork of the other, with nearly
the same flags and files.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import Finding
from evalserver.engines.base import Command, Paths, Results
from evalserver.engines.engine import Engine
from evalserver.engines.failed_requests import FailedRequests
from evalserver.engines.options import given_options
from evalserver.engines.processes import num_processes
from evalserver.engines.results import read_results
from evalserver.engines.sample_counts import (
    SampleCounts,
    count_samples,
    find_missing_samples,
)
from evalserver.engines.settings import EngineSettings

CONFIG_FILE = "config.yaml"
"""In the run directory: arguments that cannot be passed as flags."""

PLACEHOLDER = ("bypass", 999.0)
"""The metric that stands for all others with ``--predict_only``, and its value."""

NO_LIMIT = -1
"""The value of ``limit`` that means no limit."""


SERVERS_OWN_FLAGS = frozenset({
    "--config", "--model", "--model_args", "--tasks", "--output_path", "--use_cache",
    "--include_path", "--log_samples", "--predict_only",
})  # fmt: skip
"""Flags that the operator's ``extra_args`` cannot set."""

NUMPY = 1
"""The place of numpy's seed among the four."""
MAX_NUMPY_SEED = 2**32 - 1
SEED_BOUNDS = (
    f"Must be an integer from 0 to {MAX_NUMPY_SEED}, which is what numpy takes. In a list of four, "
    "only the second is numpy's."
)


class LmEvalFamily(Engine):
    """An engine of the lm-eval family."""

    accepts = frozenset({
        "model_args", "num_fewshot", "batch_size", "device", "limit", "gen_kwargs", "log_samples",
        "predict_only", "seed", "use_cache", "harness_args", "num_processes",
    })  # fmt: skip
    program: ClassVar[tuple[str, ...]]
    """The arguments after the interpreter: the launcher, and a subcommand if there is one."""
    rejects_extra_args = ""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        for argument in settings.extra_args:
            if argument.partition("=")[0] in SERVERS_OWN_FLAGS:
                raise ValueError(
                    f"engines.{settings.name}.extra_args: the server sets {argument} itself"
                )

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the command line, with a configuration file for what flags cannot carry."""
        flags = [*self._flags(request), f"--output_path={paths.output_dir}"]
        directories: tuple[Path, ...] = (paths.output_dir,)
        if request.use_cache:
            flags.append(f"--use_cache={self._cache_target(paths.cache_dir)}")
            directories += (paths.cache_dir,)
        dict_flags, config = self._dict_arguments(request)
        option_flags, options = self._options(given_options(request.harness_args))
        config |= options
        flags += [*dict_flags, *option_flags, *self.settings.extra_args]
        argv = (*self._launcher(num_processes(request)), *self.program)
        if not config:
            return Command((*argv, *flags), directories=directories)
        config_flag = f"--config={paths.run_dir / CONFIG_FILE}"
        # In ASCII, so that the harness's locale does not matter, and that U+0085 is not folded.
        text = yaml.safe_dump(config, sort_keys=False)
        return Command((*argv, config_flag, *flags), {CONFIG_FILE: text}, directories)

    def starts_one_process(self, request: EvaluateRequest) -> bool:
        """Whether the harness runs without accelerate, which starts several of it."""
        return num_processes(request) == 1

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """Return seeds that numpy cannot have, and options that need others."""
        options = given_options(request.harness_args)
        found = {} if _is_valid_seed(request.seed) else {"seed": SEED_BOUNDS}
        if options.get("fewshot_as_multiturn") is True and not options.get("apply_chat_template"):
            found["harness_args.fewshot_as_multiturn"] = "Needs apply_chat_template."
        return found

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return the results in the attempt's output directory, with failed requests and missing
        samples.

        Raises NoResults, and UnreadableFile where failed requests cannot be counted.
        """
        results = read_results(paths.output_dir, request, self.file_names, PLACEHOLDER)
        counts = count_samples(paths.output_dir, self.samples_files(results.result))
        failed = self._failed_requests(results, counts, paths)
        told = {"failed": failed.failed, "of": failed.of, "share": failed.share}
        result = {
            model: {**part, "failed_requests": told} for model, part in results.result.items()
        }
        missing: Iterable[Finding] = ()
        # With a choice of documents, some versions report the number of others.
        chosen = {"offset", "samples"} & given_options(request.harness_args).keys()
        if request.log_samples and not chosen:
            missing = find_missing_samples(results.metrics, counts)
        findings = (*results.findings, *missing)
        return replace(results, result=result, failed_requests=failed, findings=findings)

    @abstractmethod
    def _failed_requests(
        self, results: Results, counts: SampleCounts, paths: Paths
    ) -> FailedRequests:
        """Return how many requests failed. Raises UnreadableFile."""

    @abstractmethod
    def _dict_arguments(self, request: EvaluateRequest) -> tuple[list[str], dict[str, Any]]:
        """Return ``model_args`` and ``gen_kwargs`` as flags and as entries of the configuration
        file."""

    @abstractmethod
    def _options(self, options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """Return the options of ``harness_args`` as flags and as entries of the configuration
        file."""

    @abstractmethod
    def _cache_target(self, cache_dir: Path) -> Path:
        """Return the value of ``--use_cache`` for a cache in ``cache_dir``."""

    def _limit(self, limit: int | float | None) -> int | float | None:
        return limit

    def _launcher(self, processes: int) -> tuple[str, ...]:
        if processes == 1:
            return (self.settings.python,)
        return (
            self.settings.python,
            *("-m", "accelerate.commands.launch", "--multi_gpu"),
            *("--num_processes", str(processes), "--num_machines", "1"),
            # A free port: by default all evaluations of a machine would meet at the same one.
            *("--main_process_port", "0"),
        )

    def _flags(self, request: EvaluateRequest) -> list[str]:
        values: dict[str, object] = {
            "model": request.model,
            "tasks": ",".join(request.tasks),
            "num_fewshot": request.num_fewshot,
            "batch_size": request.batch_size,
            "device": request.device,
            "limit": self._limit(request.limit),
            "seed": _seed_text(request.seed),
            "include_path": self.settings.include_path,
        }
        flags = [f"--{name}={value}" for name, value in values.items() if value is not None]
        switches = {"log_samples": request.log_samples, "predict_only": request.predict_only}
        return flags + [f"--{name}" for name, given in switches.items() if given]


def _seed_text(seed: int | list[int | None] | None) -> str | None:
    """Return the seed as both harnesses read it: ``42``, or ``0,None,8,52``."""
    return None if seed is None else ",".join(map(str, seed if isinstance(seed, list) else [seed]))


def _is_valid_seed(seed: int | list[int | None] | None) -> bool:
    of_numpy = seed[NUMPY] if isinstance(seed, list) else seed
    return of_numpy is None or 0 <= of_numpy <= MAX_NUMPY_SEED
