"""The local checkpoints that a request names, and whether they can be loaded yet."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalserver.system.directory_listing import (
    MAX_FILES,
    OWN_PREFIX,
    directory_names,
    list_files,
)
from evalserver.system.untrusted_files import MissingFile, UnreadableFile, read_named_json

CHECKPOINT_ARGUMENTS = frozenset({
    "pretrained", "model", "model_path", "model_name_or_path", "checkpoint", "ckpt", "peft",
    "delta", "lora_path", "lora_local_path", "tokenizer",
})  # fmt: skip
"""The model arguments in which harnesses accept the path of a checkpoint."""

REMOTE_ARGUMENTS = ("base_url", "api_base", "endpoint")
"""With one of these arguments the model is remote, and a path is not one of this machine."""

INDEX = "*.index.json"
"""The index of a checkpoint: ``weight_map`` names the file of each weight."""

MAX_INDEX_BYTES = 32 * 1024 * 1024
MAX_NAME_CHARACTERS = 100
"""Length to which a reason truncates the name of a file."""


@dataclass(frozen=True)
class Signature:
    """A digest of the names, sizes and times of a checkpoint's files, to detect changes.

    ``newest`` is the time of the latest change, in seconds since 1970.
    """

    digest: str
    newest: float


def local_checkpoints(model_args: Mapping[str, Any] | None) -> dict[str, Path]:
    """Return the local paths among a model's arguments, by argument.

    A name such as ``org/model`` is a local path only if that directory exists.
    """
    given = model_args or {}
    if any(given.get(name) for name in REMOTE_ARGUMENTS):
        return {}
    return {key: _path(text) for key, text in _path_arguments(given).items() if _is_local(text)}


def may_have_checkpoints(model_args: Mapping[str, Any] | None) -> bool:
    """Return whether a model's arguments may name local checkpoints; if False, they name none.

    Cheap: it accesses the disk only to look up names in the server's working directory.
    """
    return any(_is_local(text) for text in _path_arguments(model_args or {}).values())


def not_ready_reason(path: Path) -> str | None:
    """Return why a checkpoint cannot be loaded, as the end of a sentence; None if it can."""
    # Path.exists raises an error if a part of the path is too long.
    if not os.path.exists(path):  # noqa: PTH110
        return "does not exist"
    if not os.path.isdir(path):  # noqa: PTH112
        return None
    try:
        names = [name for name in directory_names(path) if not name.startswith(OWN_PREFIX)]
        if not names:
            return "is an empty directory"
        indexed = _indexed_files(path, names)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except UnreadableFile as error:
        return f"has an index that cannot be read: {error}"
    if len(indexed) > MAX_FILES:
        return f"has an index that names too many files: more than {MAX_FILES}"
    missing = next((name for name in sorted(indexed) if not _is_file(path, name)), None)
    return (
        None if missing is None else f"lacks {missing[:MAX_NAME_CHARACTERS]}, which its index names"
    )


def signature(path: Path) -> Signature | str:
    """Return the signature of a checkpoint, or why it has none, as the end of a sentence."""
    listing = list_files(path)
    if listing.incomplete is not None:
        return listing.incomplete
    digest, newest = hashlib.sha256(), 0
    for name, status in listing.files:
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode(errors="replace"))
        newest = max(newest, status.st_mtime_ns)
    return Signature(digest.hexdigest(), newest / 1e9)


def _path_arguments(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: text
        for key, text in given.items()
        if key in CHECKPOINT_ARGUMENTS and text and isinstance(text, str)
    }


def _is_local(text: str) -> bool:
    # False for a text that cannot be a path; three times as fast as Path.is_dir.
    return text.startswith(("/", "./", "../", "~/")) or os.path.isdir(text)  # noqa: PTH112


def _path(text: str) -> Path:
    # Path.expanduser raises an error if there is no home directory.
    return Path(os.path.expanduser(text)).absolute()  # noqa: PTH111


def _indexed_files(path: Path, names: list[str]) -> set[str]:
    """Return the files that the indexes of a checkpoint name. Raises UnreadableFile."""
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
    # Path.is_file raises an error if the name is too long.
    return os.path.isfile(path / name)  # noqa: PTH113
