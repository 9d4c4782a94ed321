"""Reading the results files of the lm-eval family.

Layout: ``OUTPUT/<model>/`` or, for a model without a name, ``OUTPUT/`` itself; in it one results
file and one samples file a task, which share a time stamp. Shape of a results file, as far as it
is read: ``results.<task>["<metric>,<filter>"]``, ``["<metric>_stderr,<filter>"]``,
``n-samples.<task>.effective``, ``higher_is_better.<task>.<metric>``, ``model_source``.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from evalserver.core.request import EvaluateRequest
from evalserver.core.result_check import Finding, FindingCode
from evalserver.engines.base import NoResults, Results
from evalserver.engines.metrics import (
    Values,
    findings_of,
    is_submission,
    metrics_of,
    numbers_of,
    values_of,
)
from evalserver.engines.requested import find_missing
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
SUBMISSIONS = "submissions"
"""The folder of the output directory with files for evaluation servers."""
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


def read_results(
    output_dir: Path,
    request: EvaluateRequest,
    names: FileNames,
    placeholder: tuple[str, float] | None = None,
) -> Results:
    """Return the newest results of every model folder in ``output_dir``.

    ``placeholder`` is a metric and the value that the harness gives it without having scored
    anything. Raises NoResults when there is no results file, or one that cannot be read.
    """
    root = UntrustedDirectory.for_attempt(output_dir)
    parts: dict[str, Part] = {}
    wrote_submission = False
    for folder, files in _list_folders(root):
        wrote_submission |= folder != root and folder.path.name == SUBMISSIONS and bool(files)
        newest = max((each for each in files if fnmatchcase(each, names.results)), default=None)
        if newest is None:
            continue
        content = load_results(folder, newest)
        model = str(content.get("model_source") or "model") if folder == root else folder.path.name
        parts[model] = (folder.path / newest, content, _find_samples(folder, files, newest, names))
    if not parts:
        raise NoResults("wrote no results file")
    return build_results(parts, request, placeholder, wrote_submission=wrote_submission)


def build_results(
    parts: Mapping[str, Part],
    request: EvaluateRequest,
    placeholder: tuple[str, float] | None = None,
    *,
    wrote_submission: bool = False,
) -> Results:
    """Return the results of the models' results files. Raises NoResults if they cannot be kept."""
    contents = [content for _, content, _ in parts.values()]
    said = [values_of(content, placeholder) for content in contents]
    result = {
        model: {"results": str(path), "samples": samples, "metrics": numbers_of(values)}
        for (model, (path, _, samples)), values in zip(parts.items(), said, strict=True)
    }
    metrics = {
        (metric.task, metric.metric, metric.filter): metric
        for values, content in zip(said, contents, strict=True)
        for metric in metrics_of(values, content, request.num_fewshot)
    }
    findings = tuple(_find_oddities(request, contents, said, wrote_submission=wrote_submission))
    reported = _reported_facts(contents[0])
    _require_encodable(result, reported, list(metrics), [each.task for each in findings])
    return Results(
        result,
        tuple(metrics.values()),
        reported=reported,
        findings=findings,
        numbers_expected=not request.predict_only
        and not _are_submissions(said, wrote_submission=wrote_submission),
    )


def _find_oddities(
    request: EvaluateRequest,
    contents: Sequence[dict[str, Any]],
    said: Sequence[Values],
    *,
    wrote_submission: bool,
) -> Iterator[Finding]:
    spoken_of = {task for values in said for task in values}
    for task in find_missing(request.tasks, contents, spoken_of):
        text = "The harness's results say nothing about this task"
        yield Finding(task, FindingCode.MISSING_TASK, text)
    for values in said:
        for finding in findings_of(values, wrote_submission=wrote_submission):
            if not (request.predict_only and finding.code is FindingCode.NO_SCORE):
                yield finding


def _are_submissions(said: Sequence[Values], *, wrote_submission: bool) -> bool:
    tasks = [words for values in said for words in values.values()]
    return bool(tasks) and all(
        is_submission(words, wrote_submission=wrote_submission) for words in tasks
    )


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
