"""Suggesting the name that somebody probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_NAME = 64
"""Nobody meant a known name by a longer one, and looking for the nearest costs its square."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that ``name`` may have been meant for, the nearest first; it may be none."""
    if len(name) > LONGEST_NAME:
        return []
    return get_close_matches(name, list(known), n=most, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` for the known name nearest to ``name``, or an empty string."""
    found = nearest(name, known, 1)
    return f" Did you mean {found[0]!r}?" if found else ""
