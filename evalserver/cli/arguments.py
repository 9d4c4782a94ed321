"""Arguments of a model as users of lmms-eval write them: ``pretrained=x,limit=8``, or JSON."""

import json
import re
from typing import Any

QUOTES = "'\""
OPENING, CLOSING = "[{", "]}"

WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
WORDS = {"true": True, "false": False}


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments that a text names.

    A text that begins with ``{`` is JSON, and taken as it is. In any other one lmms-eval guesses:
    ``true``, ``false`` and numbers are those, everything else is a text; commas within quotes,
    brackets and braces part nothing. Raises ValueError, naming what is wrong.
    """
    if text.lstrip().startswith("{"):
        return _object(text)
    arguments: dict[str, Any] = {}
    for part in parted(text):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise ValueError(f"{part!r} is not like name=value; values with commas need JSON")
        arguments[name.strip()] = _guessed(value)
    return arguments


def parted(text: str) -> list[str]:
    """The parts between commas, without those that are empty."""
    parts = [""]
    quote = ""
    depth = 0
    for mark in text:
        if quote:
            quote = "" if mark == quote else quote
        elif mark in QUOTES:
            quote = mark
        else:
            depth += (mark in OPENING) - (mark in CLOSING)
        if mark == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts if part.strip()]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} begins like JSON, and is none: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{text!r} must be a JSON object")
    return value


def _guessed(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text
