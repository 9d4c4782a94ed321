"""Parsing model arguments as lmms-eval does: ``pretrained=x,limit=8``, or JSON."""

import json
import re
from typing import Any

QUOTES = "'\""
OPENING, CLOSING = "[{", "]}"

INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
CONSTANTS = {"true": True, "false": False, "null": None}


def parse_arguments(text: str) -> dict[str, Any]:
    """Parse arguments, with the types that lmms-eval gives their values, and ``null`` as None.

    A text that begins with ``{`` is JSON. In other texts, ``true``, ``false``, ``null`` and numbers
    have their types, and all other values are strings; commas inside quotes, brackets and braces
    do not separate. Raises ValueError.
    """
    if text.lstrip().startswith("{"):
        return _json_object(text)
    arguments: dict[str, Any] = {}
    for part in split_commas(text):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise ValueError(
                f"{part!r} is not name=value; write values that contain commas as JSON"
            )
        arguments[name.strip()] = guess_value(value)
    return arguments


def split_commas(text: str) -> list[str]:
    """Split a text at its commas, except inside quotes and brackets, and drop empty parts."""
    parts = [""]
    quote = ""
    depth = 0
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        else:
            depth += (character in OPENING) - (character in CLOSING)
        if character == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def parse_json(text: str) -> Any:
    """Parse a text that begins like JSON. Raises ValueError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} begins like JSON, but is not valid JSON: {error}") from None


def _json_object(text: str) -> dict[str, Any]:
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"{text!r} must be a JSON object")
    return value


def guess_value(text: str) -> Any:
    """Return a value with the type that lmms-eval gives it."""
    if text.lower() in CONSTANTS:
        return CONSTANTS[text.lower()]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text
