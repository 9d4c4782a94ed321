"""Of which files hashes and names are kept: of places that the operator allows, and of checkpoints.

A client may name any path as a checkpoint. What is kept of it is shown to that client, so nothing
is kept of a place that is neither allowed nor looks like a checkpoint.
"""

import os
from fnmatch import fnmatchcase
from pathlib import Path

from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.directory_listing import directory_names

SIGNS = (
    "*.safetensors", "*.gguf", "*.distcp", "*.ckpt", "*.pt", "*.pth", "*.index.json",
    "pytorch_model*.bin", "adapter_model*.bin", "model*.bin", "model_index.json",
    "adapter_config.json", "tokenizer_config.json",
)  # fmt: skip
"""Names of weights, of their indexes, and of what only stands beside them."""

SNAPSHOTS = "snapshots"
"""Where the cache of Hugging Face has a checkpoint's files as links into a directory beside it."""


class FingerprintAccess:
    """Decides of a path that a client named, and of each file below it, whether it may be hashed.

    ``allowed`` are the places that the operator allows; None: all are.
    """

    def __init__(self, path: Path, allowed: AllowedDirectories | None) -> None:
        self._path = path
        self._allowed = allowed
        self._looks: dict[Path, bool] = {}

    def covers_path(self) -> bool:
        """May the names and hashes of what is there be kept?"""
        if self._is_allowed(self._path):
            return True
        # Path.is_dir raises an error for a path that is too long.
        if os.path.isdir(self._path):  # noqa: PTH112
            return self._is_checkpoint(self._path)
        return _is_sign(self._path.name) and _is_sign(Path(os.path.realpath(self._path)).name)

    def covers_file(self, opened: int) -> bool:
        """May an open file that was found below the path be hashed? A link may have led to it."""
        file = Path(f"/proc/self/fd/{opened}").readlink()
        return (
            file.is_relative_to(self._home())
            or self._is_allowed(file)
            or self._is_checkpoint(file.parent)
        )

    def _home(self) -> Path:
        place = Path(os.path.realpath(self._path))
        return place.parents[1] if place.parent.name == SNAPSHOTS else place

    def _is_allowed(self, path: Path) -> bool:
        return self._allowed is None or self._allowed.fault(path) is None

    def _is_checkpoint(self, directory: Path) -> bool:
        if directory not in self._looks:
            self._looks[directory] = _has_sign(directory)
        return self._looks[directory]


def _has_sign(directory: Path) -> bool:
    try:
        return any(map(_is_sign, directory_names(directory)))
    except OSError:
        return False


def _is_sign(name: str) -> bool:
    return any(fnmatchcase(name, sign) for sign in SIGNS)
