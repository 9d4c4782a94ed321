"""Finding and parsing tqdm's progress bars in a harness's output, with or without a drawn bar.

    Model Responding:  33%|███▎      | 21/64 [00:01<00:02, 20.15it/s, tokens=1,071]
    Loading safetensors checkpoint shards:  25% Completed | 1/4 [00:01<00:03,  1.20s/it]
    Fetching 4 files:  25% 1/4 [00:01<00:03,  1.20s/it]
    Generating test split: 64 examples [00:00, 3250.14 examples/s]

Every repetition in the expression is bounded, so that the cost is linear in the text's length.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from evalserver.core.plain_text import without_escapes

MAX_LABEL_LENGTH = 100
LABEL_BYTES = 4 * MAX_LABEL_LENGTH
MAX_COUNT = 2**53
"""JSON's numbers are exact up to here."""

_COUNT = r"\d[\d,.]{0,19}+[kMGTPEZY]?+"
_DRAWN = r"\|[^|\r\n]{0,300}+\|"
_NOT_DRAWN = r" (?:[A-Za-z]{1,20}+ )?+\|?+"
"""vLLM and sglang write ``25% Completed | 1/4``, tqdm without columns ``25% 1/4``."""
_BAR = re.compile(
    rf"(?<![\d,.])(?:\d{{1,3}}+%(?:{_DRAWN}|{_NOT_DRAWN})\s?(?P<done>{_COUNT})/(?P<total>{_COUNT})"
    rf"|(?P<count>{_COUNT})\s?[^\W\d][^\s\[]{{0,30}}+)"
    r" \[[\d:]{5,12}+(?:<(?P<left>[\d:?]{1,12}+))?, {1,5}+(?P<rate>[^\],\r\n]{1,40}+)[\],]"
)
_PROCESS = re.compile(r"\([\w.-]{1,60}(?: [\w.:=-]{1,60}){0,3} pid=\d{1,10}[^()]{0,80}\) ?")
"""How vLLM and Ray begin the lines of their processes: ``(EngineCore_DP0 pid=4567)``."""
_RATE = re.compile(r"(?P<number>[\d.]+)(?P<unit>[^/]*)/(?P<per>.+)")
_SCALES = {letter: 1000.0**power for power, letter in enumerate("kMGTPEZY", start=1)}


@dataclass(frozen=True)
class Bar:
    """A progress bar: its label (empty if it has none), units done and in total, units per second,
    and seconds left; None for what it does not show."""

    label: str
    done: int
    total: int | None = None
    rate: float | None = None
    left_s: float | None = None

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None if the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else None


def find_bars(text: str) -> Iterator[tuple[int, Bar]]:
    """Yield every bar in the text with its position, including an unfinished last line."""
    behind = 0
    for match in _BAR.finditer(text):
        try:
            bar = _parse_bar(match, _label(text, behind, match.start()))
        except ValueError:
            continue
        behind = match.end()
        yield match.start(), bar


def _parse_bar(match: re.Match[str], label: str) -> Bar:
    done, total = match["done"] or match["count"], match["total"]
    return Bar(
        label,
        _parse_count(done),
        _parse_count(total) if total else None,
        _parse_rate(match["rate"]),
        _parse_duration(match["left"] or "?"),
    )


def _label(text: str, behind: int, end: int) -> str:
    """Return the text before a bar on its line, without the colon."""
    before = text[max(behind, end - LABEL_BYTES) : end]
    line = before[max(before.rfind("\r"), before.rfind("\n")) + 1 :].rstrip()
    if not line.endswith(":"):
        return ""
    shown = "".join(filter(str.isprintable, without_escapes(line[:-1]))).strip()
    if (process := _PROCESS.match(shown)) is not None:
        shown = shown[process.end() :]
    return shown if len(shown) <= MAX_LABEL_LENGTH else f"{shown[: MAX_LABEL_LENGTH - 1]}…"


def _parse_count(text: str) -> int:
    """``1,071`` is 1071, ``1.2k`` is 1200. Raises ValueError for other text."""
    digits = text.replace(",", "")
    number = int(float(digits.rstrip("kMGTPEZY")) * _SCALES.get(digits[-1], 1.0))
    if number > MAX_COUNT:
        raise ValueError(f"{text} is too large a count")
    return number


def _parse_rate(text: str) -> float | None:
    """Return units per second from ``20.15it/s``, ``1.31s/it`` or ``115MB/s``."""
    match = _RATE.match(text.strip())
    if match is None:
        return None
    number, unit = float(match["number"]), match["unit"]
    if match["per"] == "s":
        return number * _SCALES.get(unit[:1], 1.0)
    return 1 / number if unit == "s" and number > 0 else None


def _parse_duration(text: str) -> float | None:
    """``1:02:03`` is 3723, ``?`` is None."""
    seconds = 0
    for part in text.split(":"):
        if not part.isdigit():
            return None
        seconds = 60 * seconds + int(part)
    return float(seconds)
