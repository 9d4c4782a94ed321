"""Tables for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from typing import Any

FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes with which a spreadsheet evaluates a text as a formula."""


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows for a spreadsheet."""
    text = io.StringIO()
    csv.writer(text).writerows([_spreadsheet_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _spreadsheet_cell(value: Any) -> Any:
    """Escape a value for a spreadsheet, which would evaluate some texts as formulas."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_PREFIXES) else value
