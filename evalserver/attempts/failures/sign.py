"""A sign: what an exception looks like that stands for a failure."""

from dataclasses import dataclass, field

from evalserver.attempts.failures.exceptions import Raised
from evalserver.engines.linear_pattern import LinearPattern

MAX_PROGRAM_SIZE = 8000
"""Of a pattern in the tables, none of which an operator wrote."""
MAX_QUOTED = 200
QUOTING = frozenset({"KeyError", "IndexError", "JSONDecodeError", "UnicodeDecodeError"})
"""Exceptions whose message is what was looked up or read, such as a model's answer."""


@dataclass(frozen=True)
class Sign:
    """The names of the exception's class, separated by spaces (empty: any), and what its message
    contains: patterns of RE2, one a line (empty: anything).

    ``says`` is a sentence about it, with the named groups of the patterns. ``source`` names where
    the sign was read, if the exception cannot be raised where the tests run: a package, its
    version, and the file. All others are raised by the real packages (``tests/attempts/failures``).
    """

    code: str
    names: str = ""
    patterns: str = ""
    says: str = ""
    source: str = ""
    _compiled: LinearPattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = (line.strip() for line in self.patterns.splitlines())
        pattern = "|".join(f"(?:{line})" for line in lines if line)
        object.__setattr__(self, "_compiled", LinearPattern(pattern, MAX_PROGRAM_SIZE))

    def match(self, raised: Raised) -> str | None:
        """Return the sentence about the exception, maybe empty; None if it is another."""
        if raised.name not in self.names.split() if self.names else raised.name in QUOTING:
            return None
        found = self._compiled.search(raised.message)
        if found is None:
            return None
        return self.says.format(**{name: _quoted(text) for name, text in found.items()})


def _quoted(text: str | None) -> str:
    return shorten(" ".join((text or "").split()), MAX_QUOTED).rstrip(".")


def shorten(text: str, length: int) -> str:
    """Return a text of at most so many characters; an ellipsis stands for what was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
