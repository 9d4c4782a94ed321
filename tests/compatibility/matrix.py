"""The matrix as Markdown, between two markers of ``docs/engines.md``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compatibility.checks import CHECKS, Outcome, Status
from tests.compatibility.harnesses import Subject

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN, END = "<!-- measured: compatibility -->", "<!-- end: compatibility -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)
HEADS = ("engine", "version", *CHECKS)
ENGINES = ("lmms_eval", "lm_eval", "inspect")

Measured = Mapping[Subject, Mapping[str, Outcome]]


def render(measured: Measured) -> str:
    """The table of some versions, and the reasons of what is not ``ok`` in them."""
    lines = {subject: _lines(subject, outcomes) for subject, outcomes in measured.items()}
    return _block(list(lines.values()))


def updated(text: str, measured: Measured) -> str:
    """The text of the page with the lines of these versions new, and all others kept.

    Raises ValueError if the page has no markers.
    """
    found = BLOCK.search(text)
    if found is None:
        raise ValueError(f"{PAGE.name} has no {BEGIN} and {END}")
    new = {_prefix(subject): _lines(subject, each) for subject, each in measured.items()}
    old = [each for each in _parse(found[1]) if not each[0].startswith(tuple(new))]
    block = _block([*old, *new.values()])
    return f"{text[: found.start()]}{BEGIN}\n{block}{END}{text[found.end() :]}"


def _lines(subject: Subject, outcomes: Mapping[str, Outcome]) -> list[str]:
    """The row of a version, then a line for each reason."""
    statuses = " | ".join(outcomes[name].status for name in CHECKS)
    reasons = [
        f"* `{subject.engine}` {subject.version}, {name}: {_plain(outcome.reason)}"
        for name, outcome in outcomes.items()
        if outcome.status is not Status.OK and outcome.reason
    ]
    return [f"{_prefix(subject)} {statuses} |", *reasons]


def _parse(block: str) -> list[list[str]]:
    """The lines of each version in a block of the page."""
    lines = block.splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    versions = []
    for row in rows:
        engine, version = (cell.strip() for cell in row.split("|")[1:3])
        reasons = [line for line in lines if line.startswith(f"* {engine} {version},")]
        versions.append([row, *reasons])
    return versions


def _block(versions: Sequence[Sequence[str]]) -> str:
    ordered = sorted(versions, key=lambda lines: _order(lines[0]))
    rows = [lines[0] for lines in ordered]
    reasons = [line for lines in ordered for line in lines[1:]]
    head = [f"| {' | '.join(HEADS)} |", f"| {' | '.join('---' for _ in HEADS)} |"]
    parts = [*head, *rows, *(["", *reasons] if reasons else [])]
    return "".join(f"{line}\n" for line in parts)


def _order(row: str) -> tuple[int, list[float]]:
    engine, version = (cell.strip() for cell in row.split("|")[1:3])
    numbers = [float(part) if part.isdigit() else float("inf") for part in version.split(".")]
    return ENGINES.index(engine.strip("`")), numbers


def _prefix(subject: Subject) -> str:
    return f"| `{subject.engine}` | {subject.version} |"


def _plain(reason: str) -> str:
    """A reason in one line, that no Markdown in it can change."""
    return f"`{' '.join(reason.replace('`', chr(39)).split())}`"
