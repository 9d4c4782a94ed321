"""Local checkpoints that a request names: where they are, and whether they can be loaded yet."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalserver.system.directory_listing import MAX_FILES, directory_names, list_files
from evalserver.system.untrusted_files import MissingFile, UnreadableFile, read_named_json

KEYS = frozenset({
    "pretrained", "model", "model_path", "model_name_or_path", "checkpoint", "ckpt", "peft",
    "delta", "lora_path", "lora_local_path", "tokenizer",
})  # fmt: skip
"""The arguments of models that harnesses take a checkpoint's path in."""

REMOTE = ("base_url", "api_base", "endpoint")
"""With one of these, the model is elsewhere, and so is what looks like a path."""

INDEX = "*.index.json"
"""Names, under ``weight_map``, the file of every weight."""

MAX_INDEX_BYTES = 32 * 1024 * 1024
LONGEST_NAME = 100
"""Characters of a file's name that a reason quotes."""


@dataclass(frozen=True)
class Signature:
    """Stands for names, sizes and times of a checkpoint's files: another one as long as it is
    written to. ``newest`` is the latest time of a change, in seconds since 1970."""

    digest: str
    newest: float


def local_checkpoints(model_args: Mapping[str, Any] | None) -> dict[str, Path]:
    """The paths of this machine among a model's arguments, by argument.

    A name such as ``org/model`` is one only if there is such a directory.
    """
    given = model_args or {}
    if any(given.get(name) for name in REMOTE):
        return {}
    return {key: _path(text) for key, text in _texts(given).items() if _is_local(text)}


def may_have_checkpoints(model_args: Mapping[str, Any] | None) -> bool:
    """Is it worth a thread that looks at the disk? Right when it says no.

    It looks itself for what a name means in the server's own working directory, and nowhere else.
    """
    return any(_is_local(text) for text in _texts(model_args or {}).values())


def why_not(path: Path) -> str | None:
    """Why a checkpoint cannot be loaded, as the end of a sentence; None if nothing is amiss."""
    # Of a path whose parts are too long, Path.exists raises an error.
    if not os.path.exists(path):  # noqa: PTH110
        return "is not there"
    if not os.path.isdir(path):  # noqa: PTH112
        return None
    try:
        names = directory_names(path)
        if not names:
            return "is an empty directory"
        indexed = _indexed(path, names)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except UnreadableFile as error:
        return f"has an index that cannot be read: {error}"
    if len(indexed) > MAX_FILES:
        return f"has an index that names too many files: more than {MAX_FILES}"
    missing = next((name for name in sorted(indexed) if not _is_file(path, name)), None)
    return None if missing is None else f"lacks {missing[:LONGEST_NAME]}, which its index names"


def signature(path: Path) -> Signature | str:
    """The signature of a checkpoint, or why it has none, as the end of a sentence."""
    listing = list_files(path)
    if listing.incomplete is not None:
        return listing.incomplete
    digest, newest = hashlib.sha256(), 0
    for name, status in sorted(listing.files, key=lambda file: file[0]):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="replace"))
        newest = max(newest, status.st_mtime_ns)
    return Signature(digest.hexdigest(), newest / 1e9)


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: text for key, text in given.items() if key in KEYS and text and isinstance(text, str)
    }


def _is_local(text: str) -> bool:
    # Of a text that cannot be a path it says no, and takes a third of the time of Path.is_dir.
    return text.startswith(("/", "./", "../", "~/")) or os.path.isdir(text)  # noqa: PTH112


def _path(text: str) -> Path:
    # Path.expanduser raises an error where there is no home.
    return Path(os.path.expanduser(text)).absolute()  # noqa: PTH111


def _indexed(path: Path, names: list[str]) -> set[str]:
    """The files that the indexes of a checkpoint name. Raises UnreadableFile."""
    found: set[str] = set()
    for name in names:
        if not fnmatchcase(name, INDEX):
            continue
        try:
            weights = read_named_json(path / name, MAX_INDEX_BYTES).get("weight_map")
        except MissingFile:
            continue
        if isinstance(weights, dict):
            found.update(each for each in weights.values() if isinstance(each, str))
    return found


def _is_file(path: Path, name: str) -> bool:
    # Path.is_file raises an error for a name that is too long.
    return os.path.isfile(path / name)  # noqa: PTH113
