"""A page of a job's samples: those that are wanted, and what a metric says of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

from evalserver.engines import Engine, Verdict
from evalserver.outputs.sample_lines import Line, Lines, Place

PROBE_LINES = 100
PROBE_BYTES = 256 * 1024
"""So much of the first samples tells what the metrics of their task say of each."""

RIGHT = {Verdict.RIGHT: True, Verdict.WRONG: False}


@dataclass(frozen=True)
class Wanted:
    """What to look for: at most ``limit`` samples, under the harness's ``filter``, with the verdict
    ``only``; None: all. ``metric`` says who was right; None: there is none that does."""

    limit: int
    metric: str | None = None
    only: Verdict | None = None
    filter: str | None = None


@dataclass(frozen=True)
class Sample:
    """A line of the samples file, as text; ``right`` is None when the metric does not say."""

    line: Line
    right: bool | None


@dataclass(frozen=True)
class Page:
    """Samples in the order of the file; how many were left out because it cannot be said whether
    they are wanted; where the next page begins, None at the end."""

    samples: list[Sample]
    undecided: int
    next: Place | None


class NotJudged(Exception):
    """The metric does not say of single samples who was right; ``able`` are those that do."""

    def __init__(self, able: list[str]) -> None:
        super().__init__()
        self.able = able


def choose_metric(
    file: BinaryIO, engine: Engine, metrics: Sequence[str], asked: str | None
) -> str | None:
    """The metric that was asked for; else the first that says who was right, or None.

    ``metrics`` are those of the task of which more is better. Raises NotJudged when the one that
    was asked for is not among them, or has values other than 0 and 1.
    """
    said: dict[str, set[Verdict | None]] = {metric: set() for metric in metrics}
    for line in islice(Lines(file, Place(), PROBE_BYTES), PROBE_LINES):
        for metric in metrics:
            said[metric].add(_verdict(line, engine, metric))
    fit = [metric for metric in metrics if Verdict.NEITHER not in said[metric]]
    able = [metric for metric in fit if said[metric] & set(RIGHT)]
    if asked is None:
        return able[0] if able else None
    if asked not in fit:
        raise NotJudged(able)
    return asked


def read_page(file: BinaryIO, engine: Engine, wanted: Wanted, start: Place) -> Page:
    """The samples that are wanted, from a place on; fewer when there is much to look at.

    Raises NoSuchPlace.
    """
    lines = Lines(file, start)
    samples: list[Sample] = []
    undecided = 0
    for line in lines:
        verdict = _verdict(line, engine, wanted.metric)
        match _is_wanted(line, verdict, engine, wanted):
            case None:
                undecided += 1
            case True:
                # Of what was parsed nothing is needed any more, and it is ten times the text.
                line = replace(line, values=None)
                samples.append(Sample(line, None if verdict is None else RIGHT.get(verdict)))
        if len(samples) == wanted.limit:
            break
    return Page(samples, undecided, lines.place)


def _verdict(line: Line, engine: Engine, metric: str | None) -> Verdict | None:
    if line.values is None or metric is None:
        return None
    return engine.verdict(line.values, metric)


def _is_wanted(line: Line, verdict: Verdict | None, engine: Engine, wanted: Wanted) -> bool | None:
    """None: nobody can say."""
    if wanted.filter is not None:
        behind = None if line.values is None else engine.filter_of(line.values)
        if behind is None:
            return None
        if behind != wanted.filter:
            return False
    if wanted.only is None:
        return True
    return verdict is wanted.only if verdict in RIGHT else None
