"""Reading progress from a harness's output: the stage, and how far it is in that stage.

The newest bar counts. Its stage is its label, or without one the last announcement of the harness.
Within a stage progress never goes back: a bar that starts again under the same label is another
round, which the stage names, as in ``Requesting API (2)``; a bar that is behind without having
started again belongs to another process of the evaluation, and is ignored.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from evalserver.engines.bars import Bar, find_bars

STARTING = "starting"
RUNNING = "running"
"""The stages before the harness has printed anything, and when its output was missed."""

MAX_LABELS = 64
MAX_REST_BYTES = 1024
SLICE_BYTES = 8 * 1024
"""Searched at a time: while a pattern is matched, nothing else in the server runs."""

_ANNOUNCEMENT = re.compile(
    r"(?P<stage>Initializing [\w-]{1,60} model|Building contexts for [\w.-]{1,100}"
    r"|Running \w{1,40} requests|Saving results aggregated"
    r"|(?<=evalserver: )(?:merging the checkpoint|evaluating))(?=[^\w:.-])"
)
"""How harnesses announce their next step, and the runner the next stage; the bar that follows often
has no label."""

_PART = re.compile(r"evalserver: asking for answers (\d{1,12}) to (\d{1,12}) of (\d{1,12})\s")
"""Printed by our launcher before it asks lmms-eval's model for a part of all answers."""

ASKING = "Model Responding"
"""lmms-eval's label for the bar of its requests."""


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is in one of its stages.

    ``fraction`` is from 0 to 1, ``done`` and ``total`` are counts of the stage's own unit,
    ``rate`` is that unit per second, ``eta_s`` the seconds until the stage's end; None where the
    harness does not say.
    """

    stage: str
    fraction: float | None = None
    done: int | None = None
    total: int | None = None
    rate: float | None = None
    eta_s: float | None = None


class ProgressReader(Protocol):
    """Reads progress from an attempt's log, piece by piece, at a cost that their size bounds."""

    def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
        """Return the progress after a piece; ``after_gap`` says that output before it is
        missing."""


@dataclass(frozen=True)
class _Round:
    """The most advanced bar of one label, and the number of its round."""

    bar: Bar
    number: int = 1
    over: bool = False


@dataclass(frozen=True)
class _Part:
    """The part of all answers that the model is being asked for."""

    first: int
    last: int
    of: int

    def of_all(self, bar: Bar, rate_before: float | None) -> Bar:
        """Return a bar of this part as one of all answers; a new bar has no rate of its own yet."""
        size = self.last - self.first + 1
        done = self.first - 1 + int(size * (bar.fraction or 0))
        rate = bar.rate * size / bar.total if bar.rate and bar.total else rate_before
        return Bar(bar.label, done, self.of, rate, (self.of - done) / rate if rate else None)


class TqdmReader:
    """Reads progress from tqdm bars and announcements in an attempt's log."""

    def __init__(self) -> None:
        self._rest = b""
        self._announced = ""
        self._label = ""
        self._part: _Part | None = None
        self._rounds: dict[str, _Round] = {}
        self._newest = Progress(STARTING)

    def read(self, piece: bytes, *, after_gap: bool = False) -> Progress:
        """Return the progress after a piece; ``after_gap`` says that output before it is missing.

        The cost is linear in the piece's length, whatever is in it.
        """
        if after_gap:
            piece = self._resume(piece)
        for start in range(0, len(piece), SLICE_BYTES):
            self._read(piece[start : start + SLICE_BYTES])
        return self._newest

    def _read(self, piece: bytes) -> None:
        output = self._rest + piece
        # A bar stays at the end of its line until it is redrawn, and may be cut in two.
        self._rest = output[_find_last_break(output) :][-MAX_REST_BYTES:]
        for word in _find_words(output.decode(errors="replace")):
            self._take(word)

    def _resume(self, piece: bytes) -> bytes:
        """Continue after a gap, in which any bar may have started again."""
        if self._newest.stage == STARTING:
            self._newest = Progress(RUNNING)
        self._rounds = {label: replace(each, over=True) for label, each in self._rounds.items()}
        self._rest = b""
        return piece[_find_first_break(piece) :]

    def _take(self, word: "Bar | _Part | str") -> None:
        match word:
            case Bar():
                self._show_bar(self._of_all(word))
            case _Part():
                self._begin_part(word)
            case str():
                self._start_stage(word)

    def _begin_part(self, part: _Part) -> None:
        before = self._rounds.get(ASKING)
        if before is not None and self._part is None:
            # Earlier bars were taken for bars of all answers.
            self._rounds[ASKING] = replace(before, over=True)
        self._part = part
        self._show_bar(self._of_all(Bar(ASKING, 0)))

    def _of_all(self, bar: Bar) -> Bar:
        if self._part is None or bar.label != ASKING:
            return bar
        before = self._rounds.get(ASKING)
        return self._part.of_all(bar, before.bar.rate if before else None)

    def _start_stage(self, stage: str) -> None:
        self._announced = stage
        if stage != self._label:
            self._label = stage
            self._newest = Progress(self._stage(stage))

    def _show_bar(self, bar: Bar) -> None:
        label = bar.label or self._announced or RUNNING
        before = self._rounds.pop(label, None)
        now = _next_round(before, bar)
        # The most recent label is the last one to be dropped.
        self._rounds[label] = now
        if len(self._rounds) > MAX_LABELS:
            del self._rounds[next(iter(self._rounds))]
        if now.bar is bar:
            self._label = label
            self._newest = Progress(
                self._stage(label),
                bar.fraction,
                bar.done,
                bar.total,
                bar.rate and float(f"{bar.rate:.4g}"),
                None if bar.left_s is None else round(bar.left_s, 1),
            )

    def _stage(self, label: str) -> str:
        number = self._rounds[label].number if label in self._rounds else 1
        return label if number == 1 else f"{label} ({number})"


def _next_round(before: _Round | None, bar: Bar) -> _Round:
    """Return the round of a label after this bar."""
    over = bar.total is not None and bar.done >= bar.total
    if before is None:
        return _Round(bar, over=over)
    if not _is_behind(bar, before.bar):
        return _Round(bar, before.number, over)
    if bar.done == 0 or before.over:
        return _Round(bar, before.number + 1, over)
    return before


def _is_behind(bar: Bar, before: Bar) -> bool:
    if bar.fraction is None or before.fraction is None:
        return bar.done < before.done
    return bar.fraction < before.fraction


def _find_words(text: str) -> Iterator["Bar | _Part | str"]:
    """Yield bars, parts and announcements in the order of the text."""
    found: list[tuple[int, Bar | _Part | str]] = list(find_bars(text))
    found += [(each.start(), each["stage"]) for each in _ANNOUNCEMENT.finditer(text)]
    found += [(each.start(), part) for each in _PART.finditer(text) if (part := _part(each))]
    found.sort(key=lambda each: each[0])
    return (word for _, word in found)


def _part(match: re.Match[str]) -> _Part | None:
    first, last, of = map(int, match.groups())
    return _Part(first, last, of) if 1 <= first <= last <= of else None


def _find_first_break(output: bytes) -> int:
    """Return where the first complete line begins; the end if there is none."""
    breaks = [at for at in (output.find(b"\r"), output.find(b"\n")) if at >= 0]
    return min(breaks, default=len(output))


def _find_last_break(output: bytes) -> int:
    return max(output.rfind(b"\r"), output.rfind(b"\n"), 0)
