"""Reading the results files that the lm-eval family writes.

Layout: ``OUTPUT/<model>/`` or, for a model without a name, ``OUTPUT/`` itself; in it one results
file and one samples file a task, which share a time stamp. Shape of a results file, as far as it
is read: ``results.<task>["<metric>,<filter>"]``, ``["<metric>_stderr,<filter>"]``,
``n-samples.<task>.effective``, ``higher_is_better.<task>.<metric>``, ``model_source``.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evalserver.engines.base import NoResults, Results
from evalserver.engines.requested import check_requested
from evalserver.job import Metric

VERSIONS = ("lmms_eval_version", "lm_eval_version")
UNKNOWN = ("", "N/A", "unknown", "unknown@unknown", "Could not collect")
GPUS = re.compile(r"GPU models and configuration: ?\n?((?:GPU \d+: .+\n?)+)")
"""In what torch tells of the machine."""
LONGEST_SAYING = 1024
Part = tuple[Path, dict[str, Any], list[str]]
"""A results file, what it says, and the samples files that belong to it."""


@dataclass(frozen=True)
class FileNames:
    """How a harness names its files: two patterns, what cuts the time stamp out of a stem, and what
    cuts the task out of the stem of a samples file."""

    results: str
    samples: str
    stamp: Callable[[str], str]
    task: Callable[[str], str]


def read_results(output_dir: Path, tasks: Sequence[str], names: FileNames) -> Results:
    """The newest results of every model folder in ``output_dir``.

    Raises NoResults when there is no results file, or one without a number for one of the tasks.
    """
    parts: dict[str, Part] = {}
    for folder in _folders(output_dir):
        newest = max(folder.glob(names.results), key=lambda path: path.name, default=None)
        if newest is None:
            continue
        content = load_results(newest)
        model = folder.name if folder != output_dir else str(content.get("model_source") or "model")
        parts[model] = (newest, content, _samples(folder, newest, names))
    if not parts:
        raise NoResults("wrote no results file")
    return results_of(parts, tasks)


def results_of(parts: Mapping[str, Part], tasks: Sequence[str]) -> Results:
    """The results of each model: in which file they stand, what it says, and its samples files.

    Raises NoResults when there is no number for one of the tasks.
    """
    result = {
        model: {"results": str(path), "samples": samples, "metrics": dict(_numbers(content))}
        for model, (path, content, samples) in parts.items()
    }
    contents = [content for _, content, _ in parts.values()]
    metrics = [metric for content in contents for metric in _metrics(content)]
    if not metrics:
        raise NoResults("wrote a results file without a single number")
    check_requested(tasks, contents, {metric.task for metric in metrics})
    _check_encodable(result)
    numbers = tuple({_key(metric): metric for metric in metrics}.values())
    return Results(result, numbers, said=_said(contents[0]))


def _said(content: dict[str, Any]) -> dict[str, str]:
    """What the harness says of itself and of the machine."""
    version = next((content[key] for key in VERSIONS if key in content), None)
    gpus = GPUS.search(str(content.get("pretty_env_info")))
    said = {
        "harness_version": version,
        "git_commit": content.get("git_hash"),
        "gpus": gpus and ", ".join(gpus[1].splitlines()),
    }
    return {
        name: value[:LONGEST_SAYING]
        for name, value in said.items()
        if isinstance(value, str) and value not in UNKNOWN
    }


def load_results(path: Path) -> dict[str, Any]:
    """What a results file says. Raises NoResults when it cannot be read, or has no ``results``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoResults(f"wrote a results file that cannot be read, {path}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise NoResults(f"wrote a results file without results, {path}")
    return content


def _check_encodable(result: dict[str, Any]) -> None:
    # Python reads integers of any size, and halves of characters; JSON of others does not.
    try:
        orjson.dumps(result)
    except TypeError as error:
        raise NoResults(f"wrote a results file with what cannot be kept: {error}") from error


def _folders(output_dir: Path) -> list[Path]:
    if not output_dir.is_dir():
        raise NoResults(f"left no output directory {output_dir}")
    return [output_dir, *sorted(path for path in output_dir.iterdir() if path.is_dir())]


def _samples(folder: Path, results: Path, names: FileNames) -> list[str]:
    stamp = names.stamp(results.stem)
    return sorted(
        str(path) for path in folder.glob(names.samples) if names.stamp(path.stem) == stamp
    )


def _numbers(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for task, values in content["results"].items():
        if isinstance(values, dict):
            yield task, {key: value for key, value in values.items() if _is_number(key, value)}


def _metrics(content: dict[str, Any]) -> Iterator[Metric]:
    for task, values in _numbers(content):
        for key, value in values.items():
            metric, _, kind = key.partition(",")
            if "_stderr" in metric:
                continue
            yield Metric(
                task=task,
                metric=metric,
                filter=kind,
                value=float(value),
                stderr=values.get(f"{metric}_stderr,{kind}"),
                n=_lookup(content, int, "n-samples", task, "effective"),
                higher_is_better=_lookup(content, bool, "higher_is_better", task, metric),
            )


def _is_number(key: str, value: object) -> bool:
    # Only "<metric>,<filter>" is a metric; beside them stand names, aliases and sample counts.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "," in key and number and math.isfinite(value)  # type: ignore[arg-type]


def _lookup(content: dict[str, Any], kind: type, *keys: str) -> Any:
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, kind) else None


def _key(metric: Metric) -> tuple[str, str, str]:
    return metric.task, metric.metric, metric.filter
