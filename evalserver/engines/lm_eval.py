"""Engine for lm-eval, the harness for language models (written against version 0.4.13).

Its ``--config`` file takes ``model_args`` and ``gen_kwargs`` as mappings, with all types kept. The
launcher (``in_harness/``) does the same where a version has no such file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from evalserver.core.masking import find_secrets, parse_assignments
from evalserver.core.request import EvaluateRequest
from evalserver.engines import in_harness
from evalserver.engines.base import Paths, Question, Results, WarmHarness
from evalserver.engines.failed_requests import NO_ANSWER, FailedRequests, count_in_log
from evalserver.engines.harness import NO_LIMIT, LmEvalFamily
from evalserver.engines.lm_eval_options import OPTIONS
from evalserver.engines.options import given_options
from evalserver.engines.results import FileNames
from evalserver.engines.sample_counts import SampleCounts, count_documents


class LmEval(LmEvalFamily):
    """lm-eval, called as ``python -m lm_eval run`` is, through our launcher."""

    options = OPTIONS
    package = "lm-eval"
    written_for = "0.4.13"
    warm = WarmHarness(
        Path(in_harness.__file__).with_name("lm_eval_preload.py"), frozenset({"0.4.13"})
    )
    packages = ("torch", "transformers", "accelerate", "vllm", "datasets", "numpy")
    program = (str(Path(in_harness.__file__).with_name("lm_eval_launcher.py")), "run")
    file_names = FileNames(
        "results_*.json",
        "samples_*.jsonl",
        stamp=lambda stem: stem.rpartition("_")[2],
        task=lambda stem: stem.removeprefix("samples_").rpartition("_")[0],
    )
    questions: ClassVar[Mapping[Question, str]] = {
        Question.TASKS: (
            "import json, sys; from lm_eval.tasks import TaskManager;"
            " tasks = TaskManager(include_path=sys.argv[1] or None).all_tasks;"
            " print(); print(json.dumps(sorted(tasks)))"
        ),
        Question.MODELS: (
            "import json, lm_eval.models; from lm_eval.api import registry;"
            # Before 0.4.10: MODEL_REGISTRY.
            " models = getattr(registry, 'model_registry', None) or registry.MODEL_REGISTRY;"
            " print(); print(json.dumps(sorted(models.keys())))"
        ),
    }

    def _failed_requests(
        self, results: Results, counts: SampleCounts, paths: Paths
    ) -> FailedRequests:
        return count_in_log(paths.run_dir, count_documents(results.metrics), NO_ANSWER)

    def _dict_arguments(self, request: EvaluateRequest) -> tuple[list[str], dict[str, Any]]:
        flags: list[str] = []
        config: dict[str, Any] = {}
        if request.model_args:
            config["model_args"] = request.model_args
        given = request.gen_kwargs
        if isinstance(given, str) and not find_secrets(parse_assignments(given)):
            flags.append(f"--gen_kwargs={given}")
        elif given:
            config["gen_kwargs"] = given
        return flags, config

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """Return what the family rejects, and samples beside a limit."""
        found = super().invalid_values(request)
        options = given_options(request.harness_args)
        if "samples" in options and self._limit(request.limit) is not None:
            found["harness_args.samples"] = "Excludes limit: give limit = -1, or no samples."
        return found

    def _options(self, options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        # The file keeps all types, but has what lm-eval makes of the flag's text in one case.
        action = options.get("cache_requests")
        if action is not None:
            options["cache_requests"] = {
                "cache_requests": action in ("true", "refresh"),
                "rewrite_requests_cache": action == "refresh",
                "delete_requests_cache": action == "delete",
            }
        return [], options

    def _cache_target(self, cache_dir: Path) -> Path:
        # A prefix of file names: lm-eval appends _rank0.db to it.
        return cache_dir / "responses"

    def _limit(self, limit: int | float | None) -> int | float | None:
        # Unlike lmms-eval, it would take -1 for a number of samples.
        return None if limit == NO_LIMIT else limit
