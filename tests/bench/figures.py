"""Measured figures, their targets, and the table that shows both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Target:
    """The target of our figure, or of the ratio of ours to the other's (``ratio``)."""

    at_least: float | None = None
    at_most: float | None = None
    ratio: bool = False

    def is_met(self, value: float) -> bool:
        """Whether the value meets the target."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    def __str__(self) -> str:
        sign, limit = (">=", self.at_least) if self.at_most is None else ("<=", self.at_most)
        return f"{sign} {limit:g}{' x' if self.ratio else ''}"


@dataclass(frozen=True)
class Figure:
    """A row of the table. ``ratio`` is ours divided by the other's within each round. ``spread`` is
    the lowest and highest value of several runs, of the ratio if there is one."""

    name: str
    unit: str
    ours: float
    other: float | None = None
    ratio: float | None = None
    target: Target | None = None
    spread: tuple[float, float] | None = None

    @property
    def value(self) -> float:
        """What is compared between runs."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or without the other server."""
        if self.target is None:
            return None
        value = self.ratio if self.target.ratio else self.ours
        return None if value is None else self.target.is_met(value)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as JSON."""
        return {
            **{name: getattr(self, name) for name in ("name", "unit", "ours", "other", "ratio")},
            "spread": self.spread,
            "target": self.target and str(self.target),
            "met": self.met,
        }


def compared(
    name: str,
    unit: str,
    ours: Sequence[float],
    other: Sequence[float] | None = None,
    target: Target | None = None,
) -> Figure:
    """Return the figure of several rounds: medians, and the median of the rounds' ratios."""
    if not other:
        return Figure(name, unit, median(ours), target=target)
    ratio = median(one / another for one, another in zip(ours, other, strict=True))
    return Figure(name, unit, median(ours), median(other), ratio, target)


def summarized(runs: Sequence[Sequence[Figure]]) -> list[Figure]:
    """Return the figures of several whole runs: of each, the run with the median, and the spread.

    The runs have the same figures in the same order.
    """
    summary = []
    for each in zip(*runs, strict=True):
        by_value = sorted(each, key=lambda figure: figure.value)
        spread = (by_value[0].value, by_value[-1].value)
        summary.append(replace(by_value[len(by_value) // 2], spread=spread))
    return summary


def table(figures: Sequence[Figure]) -> str:
    """Format the figures as a table."""
    rows = [("", "unit", "ours", "other", "ratio", "spread", "target", ""), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _row(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "MISSED"}[figure.met]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} x"
    spread = "" if figure.spread is None else " - ".join(map(_number, figure.spread))
    target = "" if figure.target is None else str(figure.target)
    return (
        *(figure.name, figure.unit, _number(figure.ours)),
        "" if figure.other is None else _number(figure.other),
        *(ratio, spread, target, met),
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
