"""Typed parameters: those of an operator's own program, and the options of a harness."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from evalserver.core.suggestions import did_you_mean
from evalserver.engines.linear_pattern import LinearPattern

MAX_STRING_LENGTH = 4096
MAX_TEXT_LENGTH = 65_536


class Kind(StrEnum):
    """The type of a parameter."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    PATH = "path"
    TEXT = "text"
    """Any text, also of several lines."""
    OBJECT = "object"
    NAMES = "names"
    """A list of short texts."""
    PAIRS = "pairs"
    """A list of pairs of texts."""
    INDICES = "indices"
    """Lists of numbers by name."""


SCALAR_KINDS = (Kind.STRING, Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.CHOICE, Kind.PATH)
"""What fits into one argument of an operator's command line."""

KEYS = ("type", "required", "default", "min", "max", "choices", "pattern")


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name, types and constraints. A value is valid if it is one of the types."""

    name: str
    kinds: tuple[Kind, ...] = (Kind.STRING,)
    required: bool = False
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    form: str = ""
    """What the pattern asks for, in words after "must"."""

    @classmethod
    def read(cls, where: str, name: str, table: Any) -> "Parameter":
        """Parse the table of a parameter. Raises ValueError, which names ``where`` and the key."""
        if not isinstance(table, Mapping):
            raise ValueError(f"{where}.{name} must be a table, got {table!r}")
        for key in table:
            if key not in KEYS:
                raise ValueError(
                    f"{where}.{name}: unknown key {key!r}.{did_you_mean(key, KEYS)} "
                    f"Known keys: {', '.join(KEYS)}"
                )
        kind = table.get("type", "string")
        if kind not in SCALAR_KINDS:
            allowed = ", ".join(SCALAR_KINDS)
            raise ValueError(f"{where}.{name}.type must be one of {allowed}, got {kind!r}")
        made = cls(
            name,
            (Kind(kind),),
            bool(table.get("required", False)),
            table.get("default"),
            table.get("min"),
            table.get("max"),
            tuple(map(str, table.get("choices", ()))),
            table.get("pattern"),
        )
        made._check(where)
        return made

    def invalid_reason(self, value: Any) -> str | None:
        """Return a sentence with what is allowed if the value is invalid, else None."""
        sentences = [_CHECKS[kind](self, value) for kind in self.kinds]
        wrong = [each for each in sentences if each is not None]
        if len(wrong) < len(sentences):
            return None
        first, *others = wrong
        further = "".join(f", or {each[len('Must ') :].rstrip('.')}" for each in others)
        return f"{first.rstrip('.')}{further}." if others else first

    def text(self, value: Any) -> str:
        """Return a valid value as the text of an argument."""
        return str(value).lower() if isinstance(value, bool) else str(value)

    def within(self, value: float) -> bool:
        """Return whether a number is within the bounds."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def matches(self, text: str) -> bool:
        """Return whether a text matches the pattern, if any. Raises ValueError if that is
        invalid."""
        return self._compiled is None or self._compiled.matches(text)

    @cached_property
    def _compiled(self) -> LinearPattern | None:
        return None if self.pattern is None else LinearPattern(self.pattern)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        low = "" if self.low is None else f" of at least {self.low}"
        high = "" if self.high is None else f" of at most {self.high}"
        return " and".join(filter(None, (low, high)))

    def _check(self, where: str) -> None:
        if Kind.CHOICE in self.kinds and not self.choices:
            raise ValueError(f"{where}.{self.name}.choices must list the allowed values")
        if self.pattern is not None:
            try:
                self.matches("")
            except ValueError as error:
                raise ValueError(f"{where}.{self.name}.pattern: {error}") from None
        if self.default is not None and (sentence := self.invalid_reason(self.default)):
            raise ValueError(f"{where}.{self.name}.default: {sentence}")


def _check_string(parameter: Parameter, value: Any) -> str | None:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_STRING_LENGTH
        or not value.isprintable()
    ):
        return f"Must be a text of 1 to {MAX_STRING_LENGTH} printable characters."
    if not parameter.matches(value):
        return f"Must {parameter.form or f'match the regular expression {parameter.pattern}'}."
    return None


def _check_path(parameter: Parameter, value: Any) -> str | None:
    fine = _check_string(parameter, value) is None and value.startswith("/")
    return (
        None if fine and ".." not in value.split("/") else "Must be an absolute path without '..'."
    )


def _check_integer(parameter: Parameter, value: Any) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and parameter.within(value)
    return None if fine else f"Must be an integer{parameter.bounds}."


def _check_number(parameter: Parameter, value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and parameter.within(value) else f"Must be a number{parameter.bounds}."


def _check_boolean(parameter: Parameter, value: Any) -> str | None:
    return None if isinstance(value, bool) else "Must be true or false."


def _check_choice(parameter: Parameter, value: Any) -> str | None:
    if isinstance(value, str) and value in parameter.choices:
        return None
    hint = did_you_mean(str(value), parameter.choices)
    return f"Must be one of {', '.join(parameter.choices)}.{hint}"


def _check_text(_: Parameter, value: Any) -> str | None:
    fine = isinstance(value, str) and len(value) <= MAX_TEXT_LENGTH
    return None if fine else f"Must be a text of at most {MAX_TEXT_LENGTH} characters."


def _check_object(_: Parameter, value: Any) -> str | None:
    return None if isinstance(value, dict) else "Must be an object."


def _check_names(_: Parameter, value: Any) -> str | None:
    fine = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
    return None if fine else "Must be a list of texts."


def _check_pairs(_: Parameter, value: Any) -> str | None:
    fine = isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)
        for pair in value
    )
    return None if fine else "Must be a list of pairs of texts."


def _check_indices(_: Parameter, value: Any) -> str | None:
    fine = isinstance(value, dict) and all(
        isinstance(numbers, list) and numbers and all(map(_is_index, numbers))
        for numbers in value.values()
    )
    return None if fine and value else "Must be an object of lists of integers from 0, by task."


def _is_index(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_CHECKS: Mapping[Kind, Callable[[Parameter, Any], str | None]] = {
    Kind.STRING: _check_string,
    Kind.INTEGER: _check_integer,
    Kind.NUMBER: _check_number,
    Kind.BOOLEAN: _check_boolean,
    Kind.CHOICE: _check_choice,
    Kind.PATH: _check_path,
    Kind.TEXT: _check_text,
    Kind.OBJECT: _check_object,
    Kind.NAMES: _check_names,
    Kind.PAIRS: _check_pairs,
    Kind.INDICES: _check_indices,
}
