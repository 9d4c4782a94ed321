"""Reading the results files of the lm-eval family.

Layout: ``OUTPUT/<model>/`` or, for a model without a name, ``OUTPUT/`` itself; in it one results
file and one samples file a task, which share a time stamp. Shape of a results file, as far as it
is read: ``results.<task>["<metric>,<filter>"]``, ``["<metric>_stderr,<filter>"]``,
``n-samples.<task>.effective``, ``higher_is_better.<task>.<metric>``, ``model_source``.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from evalserver.core.job import Metric
from evalserver.engines.base import NoResults, Results
from evalserver.engines.requested import check_requested_tasks
from evalserver.system.untrusted_files import (
    MissingFile,
    UnreadableFile,
    UntrustedDirectory,
    list_names,
    read_json,
)

VERSIONS = ("lmms_eval_version", "lm_eval_version")
UNKNOWN = ("", "N/A", "unknown", "unknown@unknown", "Could not collect")
GPUS = re.compile(r"GPU models and configuration: ?\n?((?:GPU \d+: .+\n?)+)")
"""In torch's report about the machine."""
MAX_FACT_LENGTH = 1024
MAX_RESULTS_BYTES = 16 * 1024 * 1024
MAX_RESULTS_VALUES = 300_000
"""All tasks of a harness at once write some 200 000. Parsing more would hold up other requests."""
MAX_MACHINE_CHARACTERS = 64 * 1024
MAX_ENTRIES = 100_000
"""Of one folder."""
MAX_N = 2**53
"""JSON's numbers are exact up to here."""
Part = tuple[Path, dict[str, Any], list[str]]
"""A results file, its content, and its samples files."""


@dataclass(frozen=True)
class FileNames:
    """How a harness names its files: patterns of results and samples files, and functions that
    extract the time stamp from a stem, and the task from the stem of a samples file."""

    results: str
    samples: str
    stamp: Callable[[str], str]
    task: Callable[[str], str]


def read_results(output_dir: Path, tasks: Sequence[str], names: FileNames) -> Results:
    """Return the newest results of every model folder in ``output_dir``.

    Raises NoResults when there is no results file, or a task has no metric.
    """
    root = UntrustedDirectory.for_attempt(output_dir)
    parts: dict[str, Part] = {}
    for folder, files in _list_folders(root):
        newest = max((each for each in files if fnmatchcase(each, names.results)), default=None)
        if newest is None:
            continue
        content = load_results(folder, newest)
        model = str(content.get("model_source") or "model") if folder == root else folder.path.name
        parts[model] = (folder.path / newest, content, _find_samples(folder, files, newest, names))
    if not parts:
        raise NoResults("wrote no results file")
    return build_results(parts, tasks)


def build_results(parts: Mapping[str, Part], tasks: Sequence[str]) -> Results:
    """Return the results of the models' results files. Raises NoResults when a task has no
    metric."""
    result = {
        model: {
            "results": str(path),
            "samples": samples,
            "metrics": dict(_iterate_numbers(content)),
        }
        for model, (path, content, samples) in parts.items()
    }
    contents = [content for _, content, _ in parts.values()]
    metrics = [metric for content in contents for metric in _iterate_metrics(content)]
    if not metrics:
        raise NoResults("wrote a results file without a single number")
    check_requested_tasks(tasks, contents, {metric.task for metric in metrics})
    reported = _reported_facts(contents[0])
    _require_encodable(
        result, reported, [[each.filter, each.task, each.metric] for each in metrics]
    )
    numbers = tuple({_key(metric): metric for metric in metrics}.values())
    return Results(result, numbers, reported=reported)


def _reported_facts(content: dict[str, Any]) -> dict[str, str]:
    """Return what the harness reports about itself and the machine."""
    version = next((content[key] for key in VERSIONS if key in content), None)
    gpus = GPUS.search(str(content.get("pretty_env_info"))[:MAX_MACHINE_CHARACTERS])
    reported = {
        "harness_version": version,
        "git_commit": content.get("git_hash"),
        "gpus": gpus and ", ".join(gpus[1].splitlines()),
    }
    return {
        name: value[:MAX_FACT_LENGTH]
        for name, value in reported.items()
        if isinstance(value, str) and value not in UNKNOWN
    }


def load_results(directory: UntrustedDirectory, path: str) -> dict[str, Any]:
    """Return the content of a results file. Raises NoResults if it is unreadable or incomplete."""
    whole = directory.path / path
    try:
        content = read_json(directory, path, MAX_RESULTS_BYTES, MAX_RESULTS_VALUES)
    except MissingFile:
        raise NoResults(f"wrote no results file {whole}") from None
    except UnreadableFile as error:
        raise NoResults(f"wrote a results file that cannot be read, {error}") from error
    if not isinstance(content.get("results"), dict):
        raise NoResults(f"wrote a results file without results, {whole}")
    return content


def _require_encodable(*values: Any) -> None:
    # Python reads integers of any size and lone surrogates; other JSON libraries do not.
    try:
        orjson.dumps(values)
    except TypeError as error:
        raise NoResults(f"wrote a results file with what cannot be kept: {error}") from error


def _list_folders(root: UntrustedDirectory) -> Iterator[tuple[UntrustedDirectory, list[str]]]:
    """Yield the output directory and its folders, each with the names in it."""
    try:
        names = list_names(root, MAX_ENTRIES)
        yield root, list(names)
        for folder in (root.below(name) for name, is_folder in names.items() if is_folder):
            yield folder, list(list_names(folder, MAX_ENTRIES))
    except MissingFile as error:
        raise NoResults(f"left no output directory {root.path}") from error
    except UnreadableFile as error:
        raise NoResults(f"left an output directory that cannot be read, {error}") from error


def _find_samples(
    folder: UntrustedDirectory, files: Sequence[str], results: str, names: FileNames
) -> list[str]:
    stamp = names.stamp(Path(results).stem)
    found = (each for each in files if fnmatchcase(each, names.samples))
    return [str(folder.path / each) for each in found if names.stamp(Path(each).stem) == stamp]


def _iterate_numbers(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for task, values in content["results"].items():
        if isinstance(values, dict):
            yield task, {key: value for key, value in values.items() if _is_number(key, value)}


def _iterate_metrics(content: dict[str, Any]) -> Iterator[Metric]:
    for task, values in _iterate_numbers(content):
        for key, value in values.items():
            metric, _, kind = key.partition(",")
            if "_stderr" in metric:
                continue
            stderr = values.get(f"{metric}_stderr,{kind}")
            n = _lookup(content, int, "n-samples", task, "effective")
            yield Metric(
                task=task,
                metric=metric,
                filter=kind,
                value=float(value),
                stderr=None if stderr is None else float(stderr),
                n=n if n is not None and 0 <= n <= MAX_N else None,
                higher_is_better=_lookup(content, bool, "higher_is_better", task, metric),
            )


def _is_number(key: str, value: object) -> bool:
    # Only "<metric>,<filter>" is a metric; other keys are names, aliases and sample counts.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "," in key and number and math.isfinite(value)  # type: ignore[arg-type]


def _lookup(content: dict[str, Any], kind: type, *keys: str) -> Any:
    value: Any = content
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, kind) else None


def _key(metric: Metric) -> tuple[str, str, str]:
    return metric.task, metric.metric, metric.filter
