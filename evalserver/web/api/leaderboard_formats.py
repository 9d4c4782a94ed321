"""A leaderboard as CSV and as a table in Markdown."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from evalserver.web.http.spreadsheets import csv_text

OF_COLUMN = (
    "task", "metric", "filter", "higher_is_better", "engine", "limit", "num_fewshot",
    "task_version",
)  # fmt: skip
OF_CELL = (
    "value", "stderr", "n", "best", "differs", "job_id", "series", "step", "completed_at", "pruned",
)  # fmt: skip
OF_DIFFERENCE = ("method", "value", "p_value", "p_adjusted")

UNSAFE = re.compile(r"([\\`*_{}\[\]<>|~#])")
"""Characters with a meaning in Markdown."""
NOT_SHOWN = "—"
TIED = "†"
"""Marks a number that is not shown to differ from the best."""


def csv_table(board: Mapping[str, Any]) -> str:
    """Return the leaderboard with a line for each number."""
    head = (
        "rank", "name", "arguments", *OF_COLUMN, *OF_CELL,
        *(f"difference_{name}" for name in OF_DIFFERENCE), "mean", "mean_columns",
    )  # fmt: skip
    rows = []
    for rank, entry in enumerate(board["entries"], 1):
        mean = entry["mean"] or {"value": None, "columns": None}
        for column, cell in zip(board["columns"], entry["cells"], strict=True):
            if cell is None:
                continue
            difference = cell["difference"] or dict.fromkeys(OF_DIFFERENCE)
            rows.append((
                rank, entry["name"], arguments_text(entry["arguments"]),
                *(column[name] for name in OF_COLUMN), *(cell[name] for name in OF_CELL),
                *(difference[name] for name in OF_DIFFERENCE), mean["value"], mean["columns"],
            ))  # fmt: skip
    return csv_text([head, *rows])


def markdown_table(board: Mapping[str, Any]) -> str:
    """Return the leaderboard as a table, and what its marks mean."""
    columns = board["columns"]
    settings = column_settings(columns)
    has_means = bool(board["mean_of"])
    head = [
        "Series" if board["by"] == "series" else "Model",
        *(_title(column, told) for column, told in zip(columns, settings, strict=True)),
        *(["Mean"] if has_means else []),
    ]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for entry in board["entries"]:
        told = arguments_text(entry["arguments"])
        name = f"{entry['name']} ({told})" if told else entry["name"]
        cells = [_cell(cell) for cell in entry["cells"]]
        lines.append([escape(name), *cells, *([_mean(entry["mean"])] if has_means else [])])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{table}\n\n{_notes(board)}\n"


def column_settings(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what tells each column from others, and from an ordinary evaluation, in words."""
    engines = {column["engine"] for column in columns}
    found = []
    for column in columns:
        words = [column["engine"]] if len(engines) > 1 else []
        if column["limit"] is not None:
            words.append(f"limit {column['limit']:g}")
        if column["num_fewshot"] is not None:
            words.append(f"{column['num_fewshot']}-shot")
        if column["task_version"] is not None:
            words.append(f"version {column['task_version']}")
        if column["harness_args"]:
            words.append(arguments_text(column["harness_args"]))
        found.append(", ".join(words))
    return found


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """Return arguments as ``name=value name=value``."""
    return " ".join(f"{name}={value}" for name, value in arguments.items())


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line."""
    return UNSAFE.sub(r"\\\1", " ".join(text.split()))


def _title(column: Mapping[str, Any], settings: str) -> str:
    kind = "" if column["filter"] in ("", "none") else f" ({column['filter']})"
    arrow = {True: " ↑", False: " ↓", None: ""}[column["higher_is_better"]]
    told = f" [{settings}]" if settings else ""
    return f"{escape(column['task'] + ' ' + column['metric'] + kind + told)}{arrow}"


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return NOT_SHOWN
    error = "" if cell["stderr"] is None else f" ± {cell['stderr']:.4f}"
    value = f"{cell['value']:.4f}"
    mark = f" {TIED}" if cell["differs"] is False else ""
    return f"{f'**{value}**' if cell['best'] else value}{error}{mark}"


def _mean(mean: Mapping[str, Any] | None) -> str:
    if mean is None:
        return NOT_SHOWN
    missing = f" (of {mean['columns']}, {len(mean['missing'])} missing)" if mean["missing"] else ""
    return f"{mean['value']:.4f}{missing}"


def _notes(board: Mapping[str, Any]) -> str:
    tests = board["tests"]
    notes = [
        f"**Best of its column.** {TIED} Not shown to differ from the best (p above"
        f" {tests['significance_level']} after Holm's correction; {tests['paired']} tests document"
        f" by document, {tests['unpaired']} by standard errors)."
    ]
    if board["mean_of"]:
        notes.append(f"Mean: unweighted, over {', '.join(map(escape, board['mean_of']))}.")
    return "\n".join([*notes, *(f"{escape(each)}." for each in board["warnings"])])
