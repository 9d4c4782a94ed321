"""Engine for lmms-eval, the harness for multimodal models (written against version 0.7.3).

lmms-eval takes ``model_args`` and ``gen_kwargs`` only as one string, ``a=1,b=x``, and reads it
with a parser that guesses types (``lmms_eval/utils.py``: ``simple_parse_args_string``): a comma in
a text becomes a further argument, ``"007"`` becomes 7, -1 becomes -1.0, and a list stays a text;
its ``--config`` file hands the same string to the same parser. What that parser would read back as
it was meant goes as a plain flag. Anything else goes as a configuration file with the values
encoded, and the launcher (``in_harness/``) teaches the parser to decode them. The launcher also
repairs the response cache, so that it serves the next attempt of a job, and how samples and results
are saved.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from evalserver.core.masking import find_secrets, is_secret_name, parse_assignments
from evalserver.core.request import EvaluateRequest
from evalserver.engines import in_harness
from evalserver.engines.base import Paths, Question, Results, WarmHarness
from evalserver.engines.failed_requests import FailedRequests, count_in_log
from evalserver.engines.harness import LmEvalFamily
from evalserver.engines.in_harness import lmms_eval_exact
from evalserver.engines.lmms_eval_options import EARLY_OPTIONS, OPTIONS
from evalserver.engines.options import given_options
from evalserver.engines.sample_counts import SampleCounts, count_documents
from evalserver.system.untrusted_files import UnreadableFile

MAX_FLAG_LENGTH = 8192
"""In characters; Linux takes no argument of more than 128 KiB."""

SPECIAL_CHARACTERS = frozenset(",'\"[]{}")


class LmmsEval(LmEvalFamily):
    """lmms-eval, called as ``python -m lmms_eval`` is, through our launcher."""

    caches_by_default = True
    options = OPTIONS
    package = "lmms-eval"
    written_for = "0.7.3"
    warm = WarmHarness(
        Path(in_harness.__file__).with_name("lmms_eval_preload.py"), frozenset({"0.7.3"})
    )
    packages = ("torch", "transformers", "accelerate", "vllm", "sglang", "datasets", "numpy")
    program = (str(Path(in_harness.__file__).with_name("lmms_eval_launcher.py")),)
    questions: ClassVar[Mapping[Question, str]] = {
        Question.TASKS: (
            "import json, sys; from lmms_eval.tasks import TaskManager;"
            " tasks = TaskManager('ERROR', include_path=sys.argv[1] or None).all_tasks;"
            " print(); print(json.dumps(sorted(tasks)))"
        ),
        Question.MODELS: (
            "import json; from lmms_eval import models;"
            # Before 0.6: AVAILABLE_MODELS.
            " names = (models.list_available_models(include_aliases=True)"
            " if hasattr(models, 'list_available_models') else models.AVAILABLE_MODELS);"
            " print(); print(json.dumps(sorted(names)))"
        ),
    }

    def _failed_requests(
        self, results: Results, counts: SampleCounts, paths: Paths
    ) -> FailedRequests:
        for text in counts.unreadable.values():
            raise UnreadableFile(text)
        if counts.by_task:
            return counts.all
        return count_in_log(paths.run_dir, count_documents(results.metrics))

    def _dict_arguments(self, request: EvaluateRequest) -> tuple[list[str], dict[str, Any]]:
        flags: list[str] = []
        config: dict[str, Any] = {}
        for name in ("model_args", "gen_kwargs"):
            given = getattr(request, name)
            if not given:
                continue
            if isinstance(given, str):
                if find_secrets(parse_assignments(given)):
                    config[name] = given
                else:
                    flags.append(f"--{name}={given}")
                continue
            plain = ",".join(f"{key}={value}" for key, value in given.items())
            readable = all(_is_plain(key, value) for key, value in given.items())
            if readable and len(plain) <= MAX_FLAG_LENGTH:
                flags.append(f"--{name}={plain}")
            else:
                config[name] = ",".join(
                    f"{key}={value if _survives_parsing(value) else lmms_eval_exact.encode(value)}"
                    for key, value in given.items()
                )
        return flags, config

    def invalid_values(self, request: EvaluateRequest) -> dict[str, str]:
        """Return what the family rejects, and what lmms-eval would stop at or show to others."""
        found = super().invalid_values(request)
        options = given_options(request.harness_args)
        if options.get("fewshot_as_multiturn") is True and not request.num_fewshot:
            found.setdefault("harness_args.fewshot_as_multiturn", "Needs num_fewshot above 0.")
        for name in EARLY_OPTIONS:
            if isinstance(options.get(name), dict) and find_secrets(options[name]):
                found[f"harness_args.{name}"] = "Must not contain secrets: it is a flag."
        return found

    def _options(self, options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        texts = {name: _option_text(value) for name, value in options.items()}
        flags = [f"--{name}={texts.pop(name)}" for name in EARLY_OPTIONS if name in texts]
        return flags, texts

    def _cache_target(self, cache_dir: Path) -> Path:
        return cache_dir


def _option_text(value: Any) -> Any:
    """Return an option as lmms-eval parses it: objects as assignments, tags as JSON."""
    if isinstance(value, dict):
        return ",".join(f"{key}={lmms_eval_exact.encode(each)}" for key, each in value.items())
    return json.dumps(value) if isinstance(value, list) else value


def _is_plain(key: str, value: object) -> bool:
    # Secrets never go on the command line, which every user of the machine can see.
    return _survives_parsing(value) and not is_secret_name(key) and not find_secrets({key: value})


def _survives_parsing(value: object) -> bool:
    """Return whether lmms-eval parses ``str(value)`` as exactly this value."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return value >= 0
    if isinstance(value, float):
        return True
    return isinstance(value, str) and _survives_as_text(value)


def _survives_as_text(text: str) -> bool:
    if SPECIAL_CHARACTERS & set(text) or text != text.strip():
        return False
    if text.startswith(lmms_eval_exact.PREFIX):
        return False
    if text.isnumeric() or text.lower() in ("true", "false"):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False
