"""What a reader should know before believing a leaderboard."""

from collections.abc import Iterable, Iterator, Sequence

from evalserver.store import MAX_LEADERBOARD_JOBS, Considered
from evalserver.web.api.leaderboard_board import Board, Column

MAX_NAMED = 5
"""Tasks that a warning names."""


def find_warnings(considered: Considered, board: Board) -> Iterator[str]:
    """Yield the warnings, at most one of each kind, without a full stop."""
    if considered.has_older:
        yield (
            f"Only the newest {MAX_LEADERBOARD_JOBS:,} finished jobs are considered; older ones are"
            " left out. Name a series to see its older jobs"
        )
    tasks = sorted({column.task for column in board.columns})
    columns = {task: [each for each in board.columns if each.task == task] for task in tasks}
    ways = {task: len({column.kind for column in found}) for task, found in columns.items()}
    if several := [f"{task} ({number})" for task, number in ways.items() if number > 1]:
        yield (
            "Evaluated in several ways (engine, limit, version, examples or options), which are not"
            f" comparable and have a column each: {_name_first(several)}"
        )
    sizes = {task: _sizes(found) for task, found in columns.items()}
    if unlike := [f"{task} ({low} to {high})" for task, (low, high) in sizes.items() if low < high]:
        yield (
            "With the same settings, jobs evaluated different numbers of documents, so their data"
            f" may differ: {_name_first(unlike)}"
        )


def _sizes(columns: Iterable[Column]) -> tuple[int, int]:
    """Return the least and the largest number of documents of the column in which these differ
    most; zeros if they are unknown."""
    ranges = [
        (min(sizes), max(sizes))
        for column in columns
        if (sizes := [each.n for each in column.metrics.values() if each.n is not None])
    ]
    return max(ranges, key=lambda found: found[1] - found[0], default=(0, 0))


def _name_first(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return ", ".join([*names[:MAX_NAMED], *more])
