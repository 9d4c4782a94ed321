"""Runs Inspect AI with the values of a file, and writes down what its logs say.

Started by its path, in the interpreter of the harness, where nothing of evalserver is installed.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import inspect_eval_args  # type: ignore[import-not-found]

CONFIG_FLAG = "--config="
HIGHER_IS_BETTER = ("accuracy",)
"""Inspect's metrics of which more is better for certain; it says so of none itself."""
ERROR_BARS = ("stderr", "bootstrap_stderr")
MAX_ERROR_LENGTH = 2000


def main() -> None:
    """Evaluate, then write numbers and samples; exit with a reason when there are none."""
    [path] = [each.removeprefix(CONFIG_FLAG) for each in sys.argv[1:] if CONFIG_FLAG in each]
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    output = Path(config["output_dir"])
    if config["cache_dir"]:
        os.environ["INSPECT_CACHE_DIR"] = config["cache_dir"]
    names = _names(config["tasks"], config["include_path"])
    logs = _evaluate(config, names, output)
    by_name = dict(zip(names, logs, strict=True))
    _write(output, config, {name: log for name, log in by_name.items() if log.status == "success"})
    _require_success(logs)


def tasks(include_path: str) -> list[str]:
    """The names of all tasks in a directory, and of those that installed packages register."""
    return sorted({*_in_directory(include_path), *_registered()})


def providers() -> list[str]:
    """What the names of models begin with: ``openai``, ``hf``."""
    import inspect_ai.model._providers.providers  # noqa: F401 - it registers them
    from inspect_ai._util.entrypoints import ensure_entry_points
    from inspect_ai._util.registry import registry_find, registry_info

    ensure_entry_points()
    found = registry_find(lambda info: info.type == "modelapi")
    return sorted({registry_info(each).name.rpartition("/")[2] for each in found})


def print_names(names: Iterable[str]) -> None:
    """The names, as a JSON list on a line of its own."""
    print()
    print(json.dumps(list(names)))


def _in_directory(include_path: str) -> dict[str, str]:
    """What Inspect calls each task of a directory: its file, and its name there."""
    from inspect_ai import list_tasks

    if not include_path:
        return {}
    place = Path(include_path)
    found = list_tasks("*", root_dir=place, absolute=True)
    return {each.name: f"{each.file}@{each.name}" for each in found}


def _registered() -> list[str]:
    from inspect_ai._util.entrypoints import ensure_entry_points
    from inspect_ai._util.registry import registry_find, registry_info

    ensure_entry_points()
    found = registry_find(lambda info: info.type == "task")
    names = (registry_info(each).name for each in found)
    return [name.replace("/", ":", 1) for name in names if "/" in name]


def _names(wanted: Iterable[str], include_path: str) -> dict[str, str]:
    """Which task of Inspect each name of a request stands for; wildcards may stand for several."""
    there = _in_directory(include_path)
    meant = {}
    for name in wanted:
        if ":" in name:
            meant[name] = name.replace(":", "/", 1)
            continue
        found = {each: path for each, path in there.items() if fnmatchcase(each, name)}
        if not found:
            known = ", ".join(sorted(there)[:20]) or "there are none"
            sys.exit(f"LookupError: there is no task {name!r} in {include_path}; known: {known}")
        meant.update(found)
    return meant


def _evaluate(config: Mapping[str, Any], names: Mapping[str, str], output: Path) -> list[Any]:
    from inspect_ai import eval as evaluate
    from inspect_ai.model import GenerateConfig, get_model

    generate = inspect_eval_args.generate_config(config, GenerateConfig.model_fields)
    arguments = inspect_eval_args.model_arguments(config["model"], config["model_args"])
    model = get_model(config["model"], memoize=False, **arguments)
    return evaluate(  # type: ignore[no-any-return]
        list(names.values()),
        model=model,
        limit=config["limit"],
        log_dir=str(output),
        log_format="eval",
        log_samples=config["log_samples"],
        display="plain",
        **inspect_eval_args.eval_arguments(config["options"]),
        **generate,
    )


def _require_success(logs: Iterable[Any]) -> None:
    for log in logs:
        if log.status != "success":
            why = log.error.message if log.error else f"its log says {log.status}"
            if log.error:
                # Inspect draws its own, in a box, where files and lines cannot be read by program.
                print(log.error.traceback, file=sys.stderr)
            sys.exit(f"EvaluationError: the task {log.eval.task} ended without success: {why}")


def _write(output: Path, config: Mapping[str, Any], logs: Mapping[str, Any]) -> None:
    stamp = datetime.now(timezone.utc).strftime("%Y%m%d_%H%M%S")  # noqa: UP017 - any Python
    content: dict[str, Any] = {"model_source": config["model"]}
    for part in ("results", "n-samples", "higher_is_better", "failed_samples", "logs", "versions"):
        content[part] = {}
    for name, log in logs.items():
        content["results"][name] = dict(_numbers(log))
        content["n-samples"][name] = _count_documents(log)
        metrics = {key.partition(",")[0] for key in content["results"][name]}
        content["higher_is_better"][name] = {each: True for each in metrics & {*HIGHER_IS_BETTER}}
        content["logs"][name] = log.location
        content["versions"][name] = log.eval.task_version
        error = None
        if config["log_samples"]:
            error = _write_samples(output / f"{stamp}_samples_{_file_name(name)}.jsonl", log)
        content["failed_samples"][name] = {**_count_failed(log), "example": error}
    path = output / f"{stamp}_results.json"
    path.with_suffix(".part").write_text(json.dumps(content, indent=1), encoding="utf-8")
    path.with_suffix(".part").rename(path)


def _count_documents(log: Any) -> dict[str, Any]:
    """How many documents the task has, and how many were scored, also by filter."""
    completed = log.results.completed_samples if log.results else 0
    documents = completed // (getattr(log.eval.config, "epochs", None) or 1)
    scored = {name: getattr(score, "scored_samples", None) for name, score in _scores(log)}
    by_filter = {name: documents if n is None else n for name, n in scored.items()}
    return {
        "original": len(log.eval.dataset.sample_ids or []),
        "effective": max(by_filter.values(), default=documents),
        "scored": by_filter,
    }


def _count_failed(log: Any) -> dict[str, int]:
    """How many samples ended in an error that the task allows; each epoch counts."""
    if not log.results:
        return {"failed": 0, "of": 0}
    total, completed = log.results.total_samples, log.results.completed_samples
    return {"failed": max(0, total - completed), "of": total}


def _scores(log: Any) -> Iterator[tuple[str, Any]]:
    """What Inspect computed metrics of, by the name of its filter: the scorer's, or that of one of
    the values that it gives; and the reducer's of epochs, if there are several.
    """
    scores = list(log.results.scores) if log.results else []
    names = Counter((score.name, score.reducer) for score in scores)
    for score in scores:
        twice = names[score.name, score.reducer] > 1
        name = f"{score.scorer}.{score.name}" if twice else score.name
        yield f"{name}/{score.reducer}" if score.reducer else name, score


def _numbers(log: Any) -> Iterator[tuple[str, float | None]]:
    """Each number under ``metric,filter``; an error bar under ``metric_stderr,filter``.

    NaN and infinities are written, so that they are not hidden. A task that scored nothing has a
    score that is null.
    """
    scores = list(_scores(log))
    if not any(score.metrics for _, score in scores):
        yield "score,none", None
    for filter_name, score in scores:
        bars = [each.value for name, each in score.metrics.items() if name in ERROR_BARS]
        for name, metric in score.metrics.items():
            if name in ERROR_BARS:
                continue
            yield f"{name},{filter_name}", metric.value
            if bars:
                yield f"{name}_stderr,{filter_name}", bars[0]


def _write_samples(path: Path, log: Any) -> str | None:
    """Write a line for each sample and filter, read through Inspect's API one at a time.

    Returns the first error with which a sample ended.
    """
    from inspect_ai.log import read_eval_log_samples
    from inspect_ai.scorer import value_to_float

    as_number = value_to_float()
    scores = dict(_scores(log))
    first = None
    with path.open("w", encoding="utf-8") as file:
        for sample in read_eval_log_samples(log.location, all_samples_required=False):
            first = first or _error(sample)
            for line in _lines(sample, scores, as_number):
                file.write(f"{json.dumps(line)}\n")
    return first


def _lines(sample: Any, scores: Mapping[str, Any], as_number: Any) -> Iterator[dict[str, Any]]:
    told = sample.model_dump(
        mode="json", include={"input", "target", "epoch", "metadata", "scores"}
    )
    answer = sample.output.completion if sample.output else ""
    line = {
        "doc_id": sample.id,
        "resps": [[answer]],
        "filtered_resps": [answer],
        **told,
    }
    error = _error(sample)
    if error is not None:
        line["error"] = error
    for name, score in scores.items():
        value = _value(sample, score)
        judging = [each for each in score.metrics if each in HIGHER_IS_BETTER]
        # Without a score the sample is neither right nor wrong.
        judged = {} if value is None else dict.fromkeys(judging, _number(value, as_number))
        yield {**line, "filter": name, **judged, **_cluster(sample, score)}
    if not scores:
        yield line


def _cluster(sample: Any, score: Any) -> dict[str, Any]:
    """The cluster of the sample, if an error bar of the score names the key of its metadata."""
    bars = [each for name, each in score.metrics.items() if name in ERROR_BARS]
    keys = [key for each in bars if (key := getattr(each, "params", {}).get("cluster"))]
    value = (sample.metadata or {}).get(keys[0]) if keys else None
    if value is None:
        return {}
    return {"cluster": value if isinstance(value, (str, int)) else str(value)}


def _error(sample: Any) -> str | None:
    error = getattr(sample, "error", None)
    return None if error is None else str(error.message)[:MAX_ERROR_LENGTH]


def _value(sample: Any, score: Any) -> Any:
    """What the scorer gave the sample; None without a score."""
    given = (sample.scores or {}).get(score.scorer)
    value = None if given is None else given.value
    return value.get(score.name) if isinstance(value, Mapping) else value


def _number(value: Any, as_number: Any) -> float | None:
    return float(as_number(value)) if isinstance(value, (str, int, float)) else None


def _file_name(name: str) -> str:
    return name.replace("/", "_")


if __name__ == "__main__":
    main()
