"""Local checkpoints that a request names: where they are, and whether they can be loaded yet."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

KEYS = frozenset({
    "pretrained", "model", "model_path", "model_name_or_path", "checkpoint", "ckpt", "peft",
    "delta", "lora_path", "lora_local_path", "tokenizer",
})  # fmt: skip
"""The arguments of models that harnesses take a checkpoint's path in."""

REMOTE = ("base_url", "api_base", "endpoint")
"""With one of these, the model is elsewhere, and so is what looks like a path."""

INDEX = "*.index.json"
"""Names, under ``weight_map``, the file of every weight."""

Signature = tuple[tuple[str, int, int], ...]


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
    if not path.is_dir():
        return None
    if next(path.iterdir(), None) is None:
        return "is an empty directory"
    missing = sorted(name for name in _indexed(path) if not (path / name).is_file())
    return f"lacks {missing[0]}, which its index names" if missing else None


def signature(path: Path) -> Signature:
    """Names, sizes and times of a checkpoint's files: another one as long as it is written to."""
    return tuple(
        (name, status.st_size, status.st_mtime_ns) for name, status in sorted(files_of(path))
    )


def files_of(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file of a checkpoint by its name in it; of a file, itself."""
    places = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    for place in places:
        try:
            yield (str(place.relative_to(path)) if place != path else path.name), place.stat()
        except OSError:
            continue


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: text for key, text in given.items() if key in KEYS and text and isinstance(text, str)
    }


def _is_local(text: str) -> bool:
    # Of a text that cannot be a path it says no, and takes a third of the time of Path.is_dir.
    return text.startswith(("/", "./", "../", "~/")) or os.path.isdir(text)  # noqa: PTH112


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _indexed(path: Path) -> set[str]:
    found: set[str] = set()
    for index in path.glob(INDEX):
        try:
            names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            found.update(name for name in names if isinstance(name, str))
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue
    return found
