"""Regular expressions of operators, matched in time linear in the text.

They are matched by RE2, which has no backreferences and no lookaround. With Python's own engine a
pattern may take years on forty characters.
"""

import re2  # type: ignore[import-untyped]

MAX_PROGRAM_SIZE = 2000
"""Instructions of a compiled pattern. In the worst case every character of a text costs a step for
each of them: counted repetitions within each other have thousands."""


class LinearPattern:
    """A compiled pattern. Raises ValueError when it is invalid, not supported by RE2, or too
    large."""

    def __init__(self, pattern: str, max_program_size: int = MAX_PROGRAM_SIZE) -> None:
        options = re2.Options()
        options.log_errors = False
        try:
            self._compiled = re2.compile(pattern, options)
        except (re2.error, TypeError, UnicodeEncodeError) as error:
            raise ValueError(
                f"{pattern!r} is not a regular expression of RE2, which knows no backreferences"
                f" and no lookaround: {_text(error)}"
            ) from None
        if self._compiled.programsize > max_program_size:
            raise ValueError(
                f"{pattern!r} takes too long to match with RE2: it compiles to"
                f" {self._compiled.programsize} instructions, more than {max_program_size};"
                " use * or + in place of large counted repetitions such as {1,100}"
            )

    @property
    def group_names(self) -> frozenset[str]:
        """The names of the groups."""
        return frozenset(self._compiled.groupindex)

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole text."""
        return self._compiled.fullmatch(text) is not None

    def search(self, text: str) -> dict[str, str | None] | None:
        """Return the named groups of the first match; None without a match."""
        match = self._compiled.search(text)
        return None if match is None else dict(match.groupdict())


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
