"""Which files may be hashed for a fingerprint: those in allowed directories, and checkpoints.

A client may name any path as a checkpoint, and can read the fingerprint of its own job. So a path
that is neither allowed nor looks like a checkpoint has no fingerprint.
"""

import os
from fnmatch import fnmatchcase
from pathlib import Path

from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.directory_listing import directory_names

CHECKPOINT_PATTERNS = (
    "*.safetensors", "*.gguf", "*.distcp", "*.ckpt", "*.pt", "*.pth", "*.index.json",
    "pytorch_model*.bin", "adapter_model*.bin", "model*.bin", "model_index.json",
    "adapter_config.json", "tokenizer_config.json",
)  # fmt: skip
"""File names of weights, of their indexes, and of files that only checkpoints contain."""

SNAPSHOTS_NAME = "snapshots"
"""The directory of Hugging Face's cache in which a checkpoint's files are symbolic links."""


class FingerprintAccess:
    """Decides which files may be hashed for a path that a client named.

    ``allowed`` are the directories that the operator allows; None allows all.
    """

    def __init__(self, path: Path, allowed: AllowedDirectories | None) -> None:
        self._path = path
        self._allowed = allowed
        self._is_checkpoint_cache: dict[Path, bool] = {}

    def covers_path(self) -> bool:
        """Return whether the path may have a fingerprint."""
        if self._is_allowed(self._path):
            return True
        # Path.is_dir raises an error if the path is too long.
        if os.path.isdir(self._path):  # noqa: PTH112
            return self._is_checkpoint(self._path)
        target = Path(os.path.realpath(self._path))
        return _matches_checkpoint(self._path.name) and _matches_checkpoint(target.name)

    def covers_file(self, opened: int) -> bool:
        """Return whether an open file below the path may be hashed; links may lead out of the
        path."""
        file = Path(f"/proc/self/fd/{opened}").readlink()
        return (
            file.is_relative_to(self._home())
            or self._is_allowed(file)
            or self._is_checkpoint(file.parent)
        )

    def _home(self) -> Path:
        place = Path(os.path.realpath(self._path))
        return place.parents[1] if place.parent.name == SNAPSHOTS_NAME else place

    def _is_allowed(self, path: Path) -> bool:
        return self._allowed is None or self._allowed.fault(path) is None

    def _is_checkpoint(self, directory: Path) -> bool:
        if directory not in self._is_checkpoint_cache:
            self._is_checkpoint_cache[directory] = _contains_checkpoint(directory)
        return self._is_checkpoint_cache[directory]


def _contains_checkpoint(directory: Path) -> bool:
    try:
        return any(map(_matches_checkpoint, directory_names(directory)))
    except OSError:
        return False


def _matches_checkpoint(name: str) -> bool:
    return any(fnmatchcase(name, sign) for sign in CHECKPOINT_PATTERNS)
