"""Counting the requests to a model that failed in an evaluation which went on all the same.

lmms-eval (0.7.3: ``models/chat/async_openai.py`` and others) gives ``[LMMS_EVAL_REQUEST_FAILED
after N retries] why`` for the model's answer, scores it as wrong, and exits 0.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "[LMMS_EVAL_REQUEST_FAILED"
ANSWERS = ("resps", "filtered_resps")
"""The keys of a sample that hold what the model said."""
GAVE_UP = re.compile(rb"All \S+ attempts failed")
"""What lmms-eval logs, once a request, when it gives one up."""


@dataclass(frozen=True)
class FailedRequests:
    """How many of an evaluation's samples had no answer, because the request for it failed."""

    failed: int
    of: int
    example: str | None = None

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.failed / self.of) if self.of else 0.0


def count_in_samples(files: Iterable[Path]) -> FailedRequests:
    """Count in samples files. They may be large: one line of them is in memory at a time."""
    failed, of, example = 0, 0, None
    for path in files:
        with path.open("rb") as lines:
            for line in lines:
                of += 1
                failure = _failure(line) if MARK.encode() in line else None
                if failure is not None:
                    failed += 1
                    example = example or failure[:300]
    return FailedRequests(failed, of, example)


def count_in_log(log: Path, of: int) -> FailedRequests:
    """Count in the log, where no samples were kept; ``of`` is how many there were."""
    failed = 0
    try:
        with log.open("rb") as lines:
            failed = sum(GAVE_UP.search(line) is not None for line in lines)
    except OSError:
        pass  # without a log there is nothing to count
    return FailedRequests(failed, of)


def _failure(line: bytes) -> str | None:
    """The first answer of a sample that is none, or None."""
    try:
        sample = json.loads(line)
    except ValueError:
        return None
    texts = (text for key in ANSWERS for text in _texts(sample.get(key)))
    return next((text for text in texts if text.startswith(MARK)), None)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below)
