"""Values of options: texts of the command line, and what they stand for.

Each raises ValueError, saying what would be allowed; ``read_with`` makes a usage error of that.
"""

import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from evalserver.cli.arguments import arguments_of, parted

Command = Callable[..., Any]
Callback = Callable[[click.Context, click.Parameter, Any], Any]

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw]?)")
UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

LONGEST_WHOLE = 18
"""Digits."""


def read_with(read: Callable[[Any], Any]) -> Callback:
    """The callback of an option whose text is read so; one that is not given stays None."""

    def callback(_ctx: click.Context, _option: click.Parameter, given: Any) -> Any:
        try:
            return None if given is None else read(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def labels_option(help_text: str) -> Callable[[Command], Command]:
    """Give a command an option for labels, which it gets as a mapping ``labels``."""
    return click.option(
        *("--label", "-l", "labels"),
        metavar="NAME=TEXT",
        multiple=True,
        callback=read_with(labels),
        help=f"{help_text} May be given several times.",
    )


def duration(text: str) -> timedelta:
    """``90``, ``0.5``: seconds; ``30m``, ``2h``, ``3d``."""
    found = DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no length of time; give seconds, or 30m, 2h, 3d")
    return timedelta(**{UNITS[found[2]]: float(found[1])})


def seconds(text: str) -> float:
    """A duration in seconds."""
    return duration(text).total_seconds()


def number(text: str) -> int | float:
    """A whole number, or one with a fraction."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not math.isfinite(found):
        raise ValueError(f"{text!r} is no number that can be counted to")
    return found


def whole_or_word(text: str) -> int | str:
    """A whole number, or else a word for the server to look at."""
    is_whole = text.isascii() and text.isdigit() and len(text) <= LONGEST_WHOLE
    return int(text) if is_whole else text


def arguments(texts: tuple[str, ...]) -> dict[str, Any]:
    """Arguments, of which the last of one name counts."""
    return {name: value for text in texts for name, value in arguments_of(text).items()}


def generation_arguments(text: str) -> str | dict[str, Any]:
    """A JSON object, or else a text that the harness reads itself."""
    return arguments_of(text) if text.lstrip().startswith("{") else text


def names(texts: tuple[str, ...]) -> list[str]:
    """Names, separated by commas or given one by one."""
    return [name for text in texts for name in parted(text)]


def labels(texts: tuple[str, ...]) -> dict[str, str]:
    """Labels, each like ``name=text``."""
    found: dict[str, str] = {}
    for each in texts:
        name, sign, text = each.partition("=")
        if not (sign and name):
            raise ValueError(f"{each!r} is not like name=text")
        if found.setdefault(name, text) != text:
            raise ValueError(f"{name!r} is given twice, as {found[name]!r} and {text!r}")
    return found


def key(text: str) -> str:
    """What may stand in a header."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("a key has printable ASCII characters only")
    return text
