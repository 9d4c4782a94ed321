"""Which records, and which of their numbers, are sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from evalserver.trackers.records import Record


@dataclass(frozen=True)
class Filters:
    """Patterns, of which one must match, for series and tasks; labels that must all be there.

    Empty: everything. ``skipped`` are ids of jobs that are left out.
    """

    series: Sequence[str] = ()
    tasks: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()

    def words(self) -> list[str]:
        """Return the filters as texts, without ``skipped``: it makes no other follower."""
        return sorted(
            [
                *(f"series {pattern}" for pattern in self.series),
                *(f"task {pattern}" for pattern in self.tasks),
                *(f"label {name}={text}" for name, text in self.labels.items()),
            ]
        )

    def select(self, record: Record) -> Record | None:
        """Return the record with the numbers of the tasks; None if it is not to be sent."""
        if record.job_id in self.skipped:
            return None
        if self.series and not _matches(record.series or "", self.series):
            return None
        if any(record.labels.get(name) != text for name, text in self.labels.items()):
            return None
        if not self.tasks:
            return record
        numbers = tuple(each for each in record.numbers if _matches(each.task, self.tasks))
        has_task = any(_matches(task, self.tasks) for task in record.tasks)
        return replace(record, numbers=numbers) if numbers or has_task else None


def _matches(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
