"""What the engines of lmms-eval and lm-eval share: one harness is a fork of the other, with nearly
the same flags and files.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import yaml

from evalserver.core.request import EvaluateRequest
from evalserver.engines.base import Command, Paths, Results
from evalserver.engines.engine import Engine
from evalserver.engines.results import read_results

CONFIG_FILE = "config.yaml"
"""In the run directory: arguments that cannot be passed as flags."""

PLACEHOLDER = ("bypass", 999.0)
"""The metric that stands for all others with ``--predict_only``, and its value."""

NO_LIMIT = -1
"""The value of ``limit`` that means no limit."""


class LmEvalFamily(Engine):
    """An engine of the lm-eval family."""

    accepts = frozenset({
        "model_args", "num_fewshot", "batch_size", "device", "limit", "gen_kwargs", "log_samples",
        "predict_only", "seed", "use_cache",
    })  # fmt: skip
    program: ClassVar[tuple[str, ...]]
    """The arguments after the interpreter: the launcher, and a subcommand if there is one."""

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the command line, with a configuration file for what flags cannot carry."""
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
        """Return the results in the attempt's output directory. Raises NoResults."""
        return read_results(paths.output_dir, request, self.file_names, PLACEHOLDER)

    @abstractmethod
    def _dict_arguments(self, request: EvaluateRequest) -> tuple[list[str], dict[str, Any]]:
        """Return ``model_args`` and ``gen_kwargs`` as flags and as entries of the configuration
        file."""

    @abstractmethod
    def _cache_target(self, cache_dir: Path) -> Path:
        """Return the value of ``--use_cache`` for a cache in ``cache_dir``."""

    def _limit(self, limit: int | float | None) -> int | float | None:
        return limit

    def _launcher(self, num_gpus: int) -> tuple[str, ...]:
        if num_gpus == 1:
            return (self.settings.python,)
        return (
            self.settings.python,
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
            "include_path": self.settings.include_path,
        }
        flags = [f"--{name}={value}" for name, value in values.items() if value is not None]
        switches = {"log_samples": request.log_samples, "predict_only": request.predict_only}
        return flags + [f"--{name}" for name, given in switches.items() if given]
