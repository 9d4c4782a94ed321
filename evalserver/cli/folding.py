"""Folding a long cell of a table into lines, between its words and the parts of its names."""

import re

from evalserver.cli.cells import shorten

MAX_LINES = 6
"""Lines of a cell; the middle of a longer one is left out."""

PART = re.compile(r"[^\s,/=_-]*[\s,/=_-]|[^\s,/=_-]+")
"""A word or a part of a name, with the character that ends it."""


def fold(cell: str, width: int) -> str:
    """Fold a cell into lines of at most so many characters, at most ``MAX_LINES`` of them."""
    lines = [line for text in cell.split("\n") for line in _lines(text, width)]
    if len(lines) <= MAX_LINES:
        return "\n".join(lines)
    short = shorten(cell, width * MAX_LINES)
    return "\n".join(short[at : at + width] for at in range(0, len(short), width))


def _lines(text: str, width: int) -> list[str]:
    """Fold a text between its parts; a part that is longer than a line is folded anywhere."""
    lines = [""]
    for part in PART.findall(text):
        if len(lines[-1]) + len(part.rstrip()) > width and lines[-1]:
            lines.append("")
        rest = lines[-1] + part
        while len(rest.rstrip()) > width:
            lines[-1], rest = rest[:width], rest[width:]
            lines.append("")
        lines[-1] = rest
    return [line.rstrip() for line in lines if line.strip()] or [""]
