"""What is secret among the values that a harness gets, and may not show in its log, nor to those
whose it is not."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

SECRET_WORDS = frozenset(
    {
        "key", "apikey", "token", "secret", "password", "passwd", "credential", "credentials",
        "authorization",
    }
)  # fmt: skip
"""A name with one of these words in it names a secret: ``api_key``, ``hfToken``, ``HF_TOKEN``."""

SHORTEST = 8
"""Shorter values are left alone: who masks ``none`` everywhere makes a log unreadable."""

MASK = "[secret]"

SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|evs_[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,})"
)
"""What is a key by its looks, wherever it stands: of Hugging Face, OpenAI and their like,
evalserver, GitHub, Slack, AWS, Google."""
BEGINNINGS = ("hf_", "sk-", "evs_", "gh", "xox", "AKIA", "AIza")
IN_URL = re.compile(r"(?<=://)[^/@:\s'\"]{0,256}:[^/@\s'\"]{1,1024}(?=@)")
"""User and password in a URL."""
ASSIGNED = re.compile(
    r"(?i)((?:key|token|secret|passwd|password|authorization)[\"']?\s{0,9}[=:]\s{0,9}[\"']?)"
    r"((?:bearer |basic )?[^\s,;&\"'}\]]{8,})"
)
"""A secret that is given by its name in a text: ``api_key=...``, ``?token=...``."""
NAMES = ("key", "token", "secret", "passw", "authorization")

SPECIAL_TOKEN = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
"""What the argument ``eos_token`` of a model may be: no secret, and in the text of many samples."""

NO_TEXT = "surrogateescape"
"""How Python holds the bytes of a variable that are no text."""


def is_secret_name(name: str) -> bool:
    """Does what has this name have to be kept from the eyes of others?"""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return not SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", snake))


def masked_text(text: str) -> str:
    """The text without what is a secret by its looks or its name, in a URL or elsewhere."""
    # Looking for a few letters first takes a tenth of the time, and mostly there are none.
    if any(beginning in text for beginning in BEGINNINGS):
        text = SHAPES.sub(MASK, text)
    if "://" in text:
        text = IN_URL.sub(MASK, text)
    small = text.lower()
    if any(name in small for name in NAMES):
        text = ASSIGNED.sub(rf"\g<1>{MASK}", text)
    return text


def shows_secret(text: str) -> bool:
    """Is there in the text what is a key by its looks, or a password in a URL?"""
    return SHAPES.search(text) is not None or IN_URL.search(text) is not None


def without(value: Any, secrets: Iterable[str]) -> Any:
    """A JSON value without these texts."""
    if isinstance(value, Mapping):
        return {name: without(below, secrets) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [without(below, secrets) for below in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    return value


def masked(value: Any) -> Any:
    """A JSON value without its secrets: all that a secret name leads to, and those in texts."""
    if isinstance(value, Mapping):
        return {
            name: MASK if is_secret_name(str(name)) and _is_secret(below) else masked(below)
            for name, below in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(below) for below in value]
    return masked_text(value) if isinstance(value, str) else value


def _is_secret(value: Any) -> bool:
    """Is it one, below the name of one?"""
    special = isinstance(value, str) and SPECIAL_TOKEN.fullmatch(value) is not None
    return value is not None and not special


def secret_texts(*values: Mapping[str, Any] | None) -> list[str]:
    """Every text that must not show, in each of the forms that a log may have it in.

    The longest first: who replaces one after the other leaves no rest of one that begins with
    another.
    """
    found = {secret for each in values for secret in _secrets(each or {}, named=False)}
    forms = {form for secret in found if len(secret) >= SHORTEST for form in _forms(secret)}
    return sorted(forms, key=lambda form: (-len(form), form))


def parts_of(text: str) -> dict[str, str]:
    """Names and values of arguments in a text such as ``a=1,b=2``, and under no name all of it."""
    pairs = (part.partition("=") for part in text.split(","))
    return {"": text, **{name.strip(): value.strip() for name, _, value in pairs if name.strip()}}


def _secrets(value: object, *, named: bool) -> Iterator[str]:
    """The secrets below a value; ``named`` says that its own name is that of one."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _secrets(below, named=named or is_secret_name(str(name)))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _secrets(below, named=named)
    elif isinstance(value, str):
        if named and not SPECIAL_TOKEN.fullmatch(value):
            yield value
        else:
            yield from (*_in_url(value), *SHAPES.findall(value))


def _in_url(text: str) -> list[str]:
    if "://" not in text:
        return []
    # Not urlsplit: in a text there may be something before the URL, and more than one.
    return [found[0].partition(":")[2] for found in IN_URL.finditer(text)]


def _forms(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe="", errors=NO_TEXT),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
