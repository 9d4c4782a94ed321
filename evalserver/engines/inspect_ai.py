"""Engine for Inspect AI (written against version 0.3.285).

A launcher (``in_harness/inspect_launcher.py``) calls Inspect's own ``eval`` in its interpreter, so
that every value arrives unchanged, reads the logs through Inspect's API, and writes metrics and
samples beside them in the form of ``docs/engines.md``.

A task is named as in the directory of task definitions, or ``package:task`` if an installed package
registers it, such as ``inspect_evals:gsm8k``. A model has Inspect's name:
``openai/gpt-4o``, ``hf/org/name``.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from evalserver.core.request import EvaluateRequest
from evalserver.engines import in_harness
from evalserver.engines.base import Command, Paths, Question
from evalserver.engines.engine import Engine
from evalserver.engines.harness import NO_LIMIT
from evalserver.engines.patterns import PatternOrBarReader
from evalserver.engines.progress import ProgressReader

CONFIG_FILE = "inspect.json"
LAUNCHER = Path(in_harness.__file__).with_name("inspect_launcher.py")

STEPS = r"^(?:(?P<stage>\S+) *\|.*)?Steps: *(?P<done>\d+)/ *(?P<total>\d+)"
"""``capitals | generate | Steps: 2/20 10% | Samples: 2/ 20 | ...``"""

_ASK = (
    "import sys; sys.path.insert(0, {folder!r});"
    " import inspect_launcher as i; i.print_names({call})"
)


class InspectAi(Engine):
    """Inspect AI, called as ``inspect eval`` calls it, through our launcher."""

    package = "inspect-ai"
    written_for = "0.3.285"
    packages = ("openai", "anthropic", "torch", "transformers", "vllm", "inspect-evals")
    accepts = frozenset(
        {"model_args", "batch_size", "limit", "gen_kwargs", "log_samples", "seed", "use_cache"}
    )
    reasons = MappingProxyType(
        {
            "num_fewshot": "Inspect's tasks have their examples in their own prompts.",
            "device": "Give it in model_args, where the model's provider takes one.",
            "predict_only": "Inspect always computes its scores.",
        }
    )
    questions: ClassVar[Mapping[Question, str]] = MappingProxyType(
        {
            Question.TASKS: _ASK.format(folder=str(LAUNCHER.parent), call="i.tasks(sys.argv[1])"),
            Question.MODELS: _ASK.format(folder=str(LAUNCHER.parent), call="i.providers()"),
        }
    )

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the launcher's command, with a file of what it passes to Inspect."""
        limit = None if request.limit == NO_LIMIT else request.limit
        config = {
            "model": request.model,
            "tasks": request.tasks,
            "include_path": self.settings.include_path,
            "model_args": request.model_args or {},
            "generate": request.gen_kwargs or {},
            "limit": limit,
            "seed": request.seed,
            "max_connections": request.batch_size,
            "log_samples": request.log_samples,
            "cache_dir": str(paths.cache_dir) if request.use_cache else None,
            "output_dir": str(paths.output_dir),
        }
        argv = (self.settings.python, str(LAUNCHER), f"--config={paths.run_dir / CONFIG_FILE}")
        directories = (paths.output_dir, *((paths.cache_dir,) if request.use_cache else ()))
        return Command(argv, {CONFIG_FILE: json.dumps(config, indent=1)}, directories)

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """Return the fields with values of a type that Inspect does not accept."""
        found = {
            "limit": isinstance(request.limit, float) and "Must be a number of samples.",
            "batch_size": isinstance(request.batch_size, str)
            and "Must be a number: how many requests the model gets at a time.",
            "gen_kwargs": isinstance(request.gen_kwargs, str)
            and "Must be an object, such as {'temperature': 0}.",
        }
        return {field: sentence for field, sentence in found.items() if sentence}

    def progress_reader(self) -> ProgressReader:
        """Return a reader of Inspect's plain display, and of the bars of a model that is loaded."""
        return PatternOrBarReader(STEPS)

    def is_known(self, question: Question, name: str, known: Collection[str]) -> bool:
        """Return whether a task, or the provider of a model, is known."""
        if question is Question.MODELS:
            return name.partition("/")[0] in known
        return super().is_known(question, name, known)
