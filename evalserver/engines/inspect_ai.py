"""Engine for Inspect AI (written against version 0.3.285).

A launcher (``in_harness/inspect_launcher.py``) calls Inspect's own ``eval`` in its interpreter, so
that every value arrives unchanged, reads the logs through Inspect's API, and writes metrics and
samples beside them in the form of ``docs/engines.md``.

A task is named as in the directory of task definitions, or ``package:task`` if an installed package
registers it, such as ``inspect_evals:gsm8k``; Inspect's own ``inspect_evals/gsm8k`` is that task,
too. A model has Inspect's name:
``openai/gpt-4o``, ``hf/org/name``.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import Finding
from evalserver.core.task_names import with_colon
from evalserver.engines import in_harness
from evalserver.engines.base import Command, Paths, Question, Results, WarmHarness
from evalserver.engines.engine import Engine
from evalserver.engines.failed_requests import FailedRequests, add_up
from evalserver.engines.harness import NO_LIMIT
from evalserver.engines.inspect_options import OPTIONS
from evalserver.engines.metrics import MAX_N
from evalserver.engines.options import given_options
from evalserver.engines.patterns import PatternOrBarReader
from evalserver.engines.progress import ProgressReader
from evalserver.engines.results import load_results
from evalserver.engines.sample_counts import count_samples, find_missing_samples
from evalserver.system.untrusted_files import UntrustedDirectory

CONFIG_FILE = "inspect.json"
LAUNCHER = Path(in_harness.__file__).with_name("inspect_launcher.py")

STEPS = r"^(?:(?P<stage>\S+) *\|.*)?Steps: *(?P<done>\d+)/ *(?P<total>\d+)"
"""``capitals | generate | Steps: 2/20 10% | Samples: 2/ 20 | ...``"""

ROLE_KEYS = ("model", "config", "base_url", "args")
"""What the model of a role may have."""

_ASK = (
    "import sys; sys.path.insert(0, {folder!r});"
    " import inspect_launcher as i; i.print_names({call})"
)


class InspectAi(Engine):
    """Inspect AI, called as ``inspect eval`` calls it, through our launcher."""

    options = OPTIONS
    rejects_extra_args = "Inspect is not started by a command line: use harness_args"
    package = "inspect-ai"
    written_for = "0.3.285"
    warm = WarmHarness(
        Path(in_harness.__file__).with_name("inspect_preload.py"), frozenset({"0.3.285"})
    )
    packages = ("openai", "anthropic", "torch", "transformers", "vllm", "inspect-evals")
    accepts = frozenset({
        "model_args", "batch_size", "limit", "gen_kwargs", "log_samples", "seed", "use_cache",
        "harness_args",
    })  # fmt: skip
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
            "options": given_options(request.harness_args),
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
            "seed": isinstance(request.seed, list) and "Must be a single number for Inspect.",
            **_missing_options(given_options(request.harness_args)),
        }
        return {field: sentence for field, sentence in found.items() if sentence}

    def normalized(self, request: EvaluateRequest) -> EvaluateRequest:
        """Return the request with tasks of packages as ``package:task``."""
        return request.changed(tasks=tuple(map(with_colon, request.tasks)))

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return the results, with samples that ended in an error as failed requests, and missing
        samples. Raises NoResults.
        """
        results = super().read_results(request, paths)
        failed = add_up(self._failed_samples(results, paths.output_dir))
        told = {"failed": failed.failed, "of": failed.of, "share": failed.share}
        result = {
            model: {**part, "failed_requests": told} for model, part in results.result.items()
        }
        missing: Iterable[Finding] = ()
        if request.log_samples:
            counts = count_samples(paths.output_dir, self.samples_files(results.result))
            missing = find_missing_samples(results.metrics, counts)
        findings = (*results.findings, *missing)
        return replace(results, result=result, failed_requests=failed, findings=findings)

    def _failed_samples(self, results: Results, output_dir: Path) -> Iterator[FailedRequests]:
        """Yield what the launcher counted of each task."""
        directory = UntrustedDirectory.for_attempt(output_dir)
        for part in results.result.values():
            path = Path(part["results"]).relative_to(output_dir)
            counts = load_results(directory, str(path)).get("failed_samples")
            for each in counts.values() if isinstance(counts, dict) else ():
                if isinstance(each, dict):
                    yield _read_count(each)

    def progress_reader(self) -> ProgressReader:
        """Return a reader of Inspect's plain display, and of the bars of a model that is loaded."""
        return PatternOrBarReader(STEPS)

    def is_known(self, question: Question, name: str, known: Collection[str]) -> bool:
        """Return whether a task, or the provider of a model, is known."""
        if question is Question.MODELS:
            return name.partition("/")[0] in known
        return super().is_known(question, name, known)


def _missing_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that need another one, or exclude one."""
    found = {}
    if "epochs_reducer" in options and "epochs" not in options:
        found["harness_args.epochs_reducer"] = "Needs epochs."
    if "solver_args" in options and not options.keys() & {"solver", "solver_file"}:
        found["harness_args.solver_args"] = "Needs solver or solver_file."
    if {"solver", "solver_file"} <= options.keys():
        found["harness_args.solver_file"] = "Excludes solver."
    roles = options.get("model_roles", {})
    wrong = [role for role, given in roles.items() if not _is_role(given)]
    if wrong:
        found["harness_args.model_roles"] = (
            f"The role {wrong[0]} must be the name of a model, an object of {', '.join(ROLE_KEYS)},"
            " of which only model is required, or a list of these."
        )
    return found


def _is_role(given: Any) -> bool:
    if isinstance(given, list):
        return bool(given) and all(not isinstance(each, list) and _is_role(each) for each in given)
    if isinstance(given, dict):
        objects = (given.get(name, {}) for name in ("config", "args"))
        return (
            given.keys() <= set(ROLE_KEYS)
            and _is_name(given.get("model"))
            and all(isinstance(each, dict) for each in objects)
            and (given.get("base_url") is None or _is_name(given["base_url"]))
        )
    return _is_name(given)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _read_count(count: Mapping[str, Any]) -> FailedRequests:
    failed, of = (
        each if isinstance(each := count.get(key), int) and 0 <= each <= MAX_N else 0
        for key in ("failed", "of")
    )
    example = count.get("example")
    # A lone surrogate cannot be kept.
    text = example.encode(errors="replace").decode() if isinstance(example, str) else None
    return FailedRequests(failed, of, text)
