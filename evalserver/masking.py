"""What is secret among the values that a harness gets, and may not show in its log."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

SECRET_WORDS = frozenset(
    {
        "key", "apikey", "token", "secret", "password", "passwd", "credential", "credentials",
        "authorization",
    }
)  # fmt: skip
"""A name with one of these words in it names a secret: ``api_key``, ``hfToken``, ``HF_TOKEN``."""

SHORTEST = 8
"""Shorter values are left alone: who masks ``none`` everywhere makes a log unreadable."""

NO_TEXT = "surrogateescape"
"""How Python holds the bytes of a variable that are no text."""


def is_secret_name(name: str) -> bool:
    """Does what has this name have to be kept from the eyes of others?"""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return not SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", snake))


def secret_texts(*values: Mapping[str, Any] | None) -> list[str]:
    """Every text that must not show, in each of the forms that a log may have it in."""
    found = {secret for each in values for secret in _secrets(each or {}, named=False)}
    return sorted({form for secret in found if len(secret) >= SHORTEST for form in _forms(secret)})


def _secrets(value: object, *, named: bool) -> Iterator[str]:
    """The secrets below a value; ``named`` says that its own name is that of one."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _secrets(below, named=named or is_secret_name(str(name)))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _secrets(below, named=named)
    elif isinstance(value, str):
        yield from [value] if named else _in_url(value)


def _in_url(text: str) -> list[str]:
    if "://" not in text:
        return []
    try:
        password = urlsplit(text).password
    except ValueError:
        return []
    return [password] if password else []


def _forms(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe="", errors=NO_TEXT),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
