"""Suggesting known names that are similar to a misspelled one."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_NAME_CHARACTERS = 64
"""Longer names get no suggestions: they match nothing, and the cost is quadratic in the length."""


def closest_names(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The known names similar to ``name``, most similar first; may be empty."""
    if len(name) > MAX_NAME_CHARACTERS:
        return []
    return get_close_matches(name, list(known), n=limit, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with the most similar known name, or an empty string."""
    found = closest_names(name, known, 1)
    return f" Did you mean {found[0]!r}?" if found else ""
