"""The differences between the samples of two jobs, and the last few of them in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalserver.outputs.sample_index import Judge
from evalserver.outputs.sample_pairs import NO_ROW, SamplePairs

Identity = tuple[Any, ...]
"""Of files, and of what is asked of them: equal as long as their samples are the same."""


@dataclass(frozen=True)
class Places:
    """Where the samples of an index lie in their file."""

    places: Sequence[int]
    lines: Sequence[int]
    scores: Sequence[float]
    unreadable: int


@dataclass(frozen=True)
class SampleDiff:
    """The paired samples of a task of two jobs, the baseline first."""

    judges: tuple[Judge, Judge]
    places: tuple[Places, Places]
    pairs: SamplePairs
    is_binary: bool
    """Whether each sample is right or wrong."""

    @property
    def paired(self) -> int:
        """The number of documents that both have."""
        rows = zip(self.pairs.baseline_rows, self.pairs.job_rows, strict=True)
        return sum(NO_ROW not in pair for pair in rows)

    @property
    def paired_by_content(self) -> int:
        """How many of them have different ids."""
        return sum(self.pairs.by_content)


class SampleDiffs:
    """The last few results of ``find_diff``, so that the next page need not read whole files."""

    def __init__(self, max_pairs: int = 500_000) -> None:
        self._max_pairs = max_pairs
        self._found: dict[Identity, SampleDiff] = {}

    def get(self, identity: Identity) -> SampleDiff | None:
        """Return the diff of samples with this identity, if it is kept."""
        found = self._found.pop(identity, None)
        if found is not None:
            self._found[identity] = found
        return found

    def keep(self, identity: Identity, diff: SampleDiff) -> None:
        """Keep a diff; the one that was used longest ago makes room, about 50 bytes a pair."""
        self._found[identity] = diff
        while len(self._found) > 1 and self._size() > self._max_pairs:
            del self._found[next(iter(self._found))]

    def _size(self) -> int:
        return sum(len(each.pairs) for each in self._found.values())
