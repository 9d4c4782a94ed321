"""Whether a harness wrote a sample for each document that its metrics count.

A harness may stop writing samples at one that it cannot write, and complete all the same: lmms-eval
and lm-eval do at an answer that has no encoding. The metrics are not affected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalserver.core.job import Metric
from evalserver.core.result_check import Finding, FindingCode
from evalserver.engines.failed_requests import FailedRequests, add_up, count_in_file
from evalserver.system.untrusted_files import UnreadableFile, UntrustedDirectory


@dataclass(frozen=True)
class SampleCounts:
    """How many samples each task has, and how many of them have no answer because the request
    failed; and why a task's file could not be read."""

    by_task: Mapping[str, FailedRequests]
    unreadable: Mapping[str, str]

    @property
    def all(self) -> FailedRequests:
        """The counts of all tasks."""
        return add_up(self.by_task.values())


def count_samples(output_dir: Path, files: Mapping[str, Path]) -> SampleCounts:
    """Count the samples in each task's file, with at most a megabyte of a file in memory."""
    directory = UntrustedDirectory.for_attempt(output_dir)
    by_task, unreadable = {}, {}
    for task, path in files.items():
        try:
            by_task[task] = count_in_file(directory, str(path.relative_to(output_dir)))
        except UnreadableFile as error:
            unreadable[task] = str(error)
    return SampleCounts(by_task, unreadable)


def count_documents(metrics: Sequence[Metric]) -> int:
    """Return how many documents the metrics of all tasks count."""
    return sum({metric.task: metric.n or 0 for metric in metrics}.values())


def find_missing_samples(metrics: Sequence[Metric], counts: SampleCounts) -> Iterator[Finding]:
    """Yield a finding for each task whose file has fewer samples than its metrics count.

    A file has a sample for each document and filter; further ones, such as those of repetitions,
    are not odd.
    """
    scored: dict[str, dict[str, int]] = {}
    for metric in metrics:
        of_task = scored.setdefault(metric.task, {})
        of_task[metric.filter] = max(metric.n or 0, of_task.get(metric.filter, 0))
    for task, by_filter in scored.items():
        name = file_task(task)
        if name in counts.unreadable:
            text = f"The samples cannot be read: {counts.unreadable[name]}"
            yield Finding(task, FindingCode.UNREADABLE_SAMPLES, text)
            continue
        expected = sum(by_filter.values())
        written = counts.by_task[name].of if name in counts.by_task else 0
        if written < expected:
            text = f"{written} of {expected} samples were written; the metrics count all of them"
            yield Finding(task, FindingCode.MISSING_SAMPLES, text)


def file_task(task: str) -> str:
    """Return the task as the name of its samples file has it."""
    return task.replace("/", "_")
