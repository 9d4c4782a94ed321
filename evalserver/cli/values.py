"""Parsing the values of options.

Each function raises ValueError, which says what is allowed; ``parse_with`` makes it a usage error.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from evalserver.cli.arguments import parse_arguments, parse_json, split_commas

Command = Callable[..., Any]
Callback = Callable[[click.Context, click.Parameter, Any], Any]

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw]?)")
UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

MAX_DIGITS = 18
"""Of an integer."""


def parse_with(read: Callable[[Any], Any]) -> Callback:
    """Return the callback of an option that parses its text; an absent option stays None."""

    def callback(_ctx: click.Context, _option: click.Parameter, given: Any) -> Any:
        try:
            return None if given is None else read(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def labels_option(help_text: str) -> Callable[[Command], Command]:
    """Add the option ``--label`` to a command, which gets a mapping ``labels``."""
    return click.option(
        *("--label", "-l", "labels"),
        metavar="NAME=TEXT",
        multiple=True,
        callback=parse_with(labels),
        help=f"{help_text} May be given several times.",
    )


def duration(text: str) -> timedelta:
    """Parse a duration: ``90`` and ``0.5`` are seconds; ``30m``, ``2h``, ``3d``."""
    found = DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is not a duration; give seconds, or 30m, 2h, 3d")
    return timedelta(**{UNITS[found[2]]: float(found[1])})


def time_or_age(given: str) -> str | datetime:
    """Parse an age, or check a time in ISO 8601, which the server reads."""
    age = None if given.isdigit() else DURATION.fullmatch(given.strip().lower())
    try:
        if age is not None:
            return datetime.now(UTC) - duration(given)
        datetime.fromisoformat(given)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{given!r} is neither an age such as 30m, 2h, 3d nor a time in ISO 8601 such as"
            " 2030-01-31T12:00"
        ) from None
    return given


def seconds(text: str) -> float:
    """Parse a duration, in seconds."""
    return duration(text).total_seconds()


def number(text: str) -> int | float:
    """Parse an integer or a decimal number."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{text!r} is not a finite number")
    return found


def integer_or_text(text: str) -> int | str:
    """Parse an integer; the server checks any other text."""
    is_integer = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if is_integer else text


def arguments(texts: tuple[str, ...]) -> dict[str, Any]:
    """Parse arguments; the last value of a name counts."""
    return {name: value for text in texts for name, value in parse_arguments(text).items()}


def harness_arguments(texts: tuple[str, ...]) -> dict[str, Any]:
    """Parse options of a harness, each ``name=value``, whose value is JSON if it can be read as
    such, else a text; the last value of a name counts."""
    found: dict[str, Any] = {}
    for each in texts:
        if each.lstrip().startswith("{"):
            found.update(parse_arguments(each))
            continue
        name, sign, text = each.partition("=")
        if not (sign and name.strip()):
            raise ValueError(f"{each!r} is not name=value")
        found[name.strip()] = _json_or_text(text)
    return found


def seeds(text: str) -> int | list[int | None] | None:
    """Parse a seed, or several with commas, ``null`` (or ``None``, as in lmms-eval and lm-eval) for
    none."""
    parts = [part.strip() for part in text.split(",")]
    try:
        found = [None if part.lower() in ("none", "null") else int(part) for part in parts]
    except ValueError:
        raise ValueError(
            f"{text!r} is not a number, nor numbers or null with commas in between"
        ) from None
    return found if len(found) > 1 else found[0]


def generation_arguments(text: str) -> str | dict[str, Any]:
    """Parse a JSON object; the harness parses any other text."""
    return parse_arguments(text) if text.lstrip().startswith("{") else text


def names(texts: tuple[str, ...]) -> list[str]:
    """Parse names, which are separated by commas or given one by one."""
    return [name for text in texts for name in split_commas(text)]


def labels(texts: tuple[str, ...]) -> dict[str, str]:
    """Parse labels, each ``name=text``."""
    found: dict[str, str] = {}
    for each in texts:
        name, sign, text = each.partition("=")
        if not (sign and name):
            raise ValueError(f"{each!r} is not name=text")
        if found.setdefault(name, text) != text:
            raise ValueError(f"{name!r} is given twice, as {found[name]!r} and {text!r}")
    return found


def json_list(text: str) -> list[Any]:
    """Parse a JSON array."""
    value = parse_json(text)
    if not isinstance(value, list):
        raise ValueError(f"{text!r} must be a JSON array")
    return value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def key(text: str) -> str:
    """Check that a key is valid in a header."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a key must consist of printable ASCII characters")
    return text
