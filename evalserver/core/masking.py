"""Finding secrets in the values that a harness is given, and masking them in text and JSON."""

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
"""A name that contains one of these words names a secret: ``api_key``, ``HF_TOKEN``."""

MIN_SECRET_CHARACTERS = 8
"""Shorter values are not masked: masking ``none`` everywhere would make a log unreadable."""

MASK = "[secret]"
COMMAND_MASK = "***"
"""The mask in command lines and environments."""

KEY_SHAPE = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|evs_[A-Za-z0-9_-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,})"
)
"""Keys that are recognized by their shape: of Hugging Face, OpenAI and compatible services,
evalserver, GitHub, Slack, AWS and Google."""
KEY_PREFIXES = ("hf_", "sk-", "evs_", "gh", "xox", "AKIA", "AIza")
URL_PASSWORD = re.compile(r"(?<=://)[^/@:\s'\"]{0,256}:[^/@\s'\"]{1,1024}(?=@)")
"""The user and password in a URL."""
NAMED_SECRET = re.compile(
    r"(?i)((?:key|token|secret|passwd|password|authorization)[\"']?\s{0,9}[=:]\s{0,9}[\"']?)"
    r"((?:bearer |basic )?[^\s,;&\"'}\]]{8,})"
)
"""A secret after its name: ``api_key=...``, ``?token=...``."""
SECRET_NAME_PARTS = ("key", "token", "secret", "passw", "credential", "authorization")

SPECIAL_TOKEN = re.compile(r"<[^<>]*>|\[[^\[\]]*\]")
"""Values such as that of a model's ``eos_token``: no secret, and part of many samples."""

UNDECODABLE_BYTES = "surrogateescape"
"""How Python represents bytes of an environment variable that are not valid text."""


def is_secret_name(name: str) -> bool:
    """Whether a value with this name is a secret."""
    # Most names have none of the words, which is found out in a tenth of the time.
    if not _contains_any(SECRET_NAME_PARTS, name.lower()):
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return not SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", snake))


def mask_text(text: str) -> str:
    """Mask what is a secret by its shape or its name, in URLs and elsewhere."""
    # Searching for the prefixes first takes a tenth of the time, and most texts have none.
    if _contains_any(KEY_PREFIXES, text):
        text = KEY_SHAPE.sub(MASK, text)
    if "://" in text:
        text = URL_PASSWORD.sub(MASK, text)
    if _contains_any(SECRET_NAME_PARTS, text.lower()):
        text = NAMED_SECRET.sub(rf"\g<1>{MASK}", text)
    return text


def contains_secret(text: str) -> bool:
    """Whether the text contains a key, recognized by its shape, or a password in a URL."""
    has_key = _contains_any(KEY_PREFIXES, text) and KEY_SHAPE.search(text) is not None
    return has_key or ("://" in text and URL_PASSWORD.search(text) is not None)


def mask_secrets(value: Any, secrets: Iterable[str], mask: str = MASK) -> Any:
    """Replace these texts in a JSON value with the mask."""
    if isinstance(value, Mapping):
        return {name: mask_secrets(below, secrets, mask) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [mask_secrets(below, secrets, mask) for below in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, mask)
    return value


def masked(value: Any) -> Any:
    """Mask the secrets in a JSON value: values with a secret's name, and secrets within texts."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {
            name: MASK if is_secret_name(str(name)) and _is_secret(below) else masked(below)
            for name, below in value.items()
        }
    return [masked(below) for below in value] if isinstance(value, list | tuple) else value


def _contains_any(parts: tuple[str, ...], text: str) -> bool:
    for part in parts:  # noqa: SIM110 - any() of a generator takes twice as long
        if part in text:
            return True
    return False


def _is_secret(value: Any) -> bool:
    """Whether a value with a secret's name is a secret."""
    special = isinstance(value, str) and SPECIAL_TOKEN.fullmatch(value) is not None
    return value is not None and not special


def find_secrets(*values: Mapping[str, Any] | None) -> list[str]:
    """Find every text that must be masked, in each encoding that a log may contain.

    Longest first, so that replacing them in order leaves nothing of a secret that begins with a
    shorter one.
    """
    found = {secret for each in values for secret in _secrets(each or {}, named=False)}
    forms = {
        form
        for secret in found
        if len(secret) >= MIN_SECRET_CHARACTERS
        for form in _encodings(secret)
    }
    return sorted(forms, key=lambda form: (-len(form), form))


def parse_assignments(text: str) -> dict[str, str]:
    """Parse a text such as ``a=1,b=2`` into names and values; the empty name has the whole text."""
    pairs = (part.partition("=") for part in text.split(","))
    return {"": text, **{name.strip(): value.strip() for name, _, value in pairs if name.strip()}}


def _secrets(value: object, *, named: bool) -> Iterator[str]:
    """Yield the secrets in a value; ``named``: the value itself has a secret's name."""
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
            yield from (*_url_passwords(value), *KEY_SHAPE.findall(value))


def _url_passwords(text: str) -> list[str]:
    if "://" not in text:
        return []
    # Not urlsplit: a text may contain several URLs, with other text around them.
    return [found[0].partition(":")[2] for found in URL_PASSWORD.finditer(text)]


def _encodings(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe="", errors=UNDECODABLE_BYTES),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
