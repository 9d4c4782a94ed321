"""Directories below which clients may name paths."""

from collections.abc import Iterable
from pathlib import Path

OUTPUTS = "outputs"
"""The subdirectory of the data directory to which results may always be written."""


class AllowedDirectories:
    """A set of allowed directories; ``setting`` is the option that names them."""

    def __init__(self, setting: str, roots: Iterable[Path]) -> None:
        self.setting = setting
        self._roots = tuple(root.absolute() for root in roots)

    def fault(self, path: Path) -> str | None:
        """Return why the path is not allowed; None if it is.

        It must be in one of the directories after all symbolic links are resolved.
        """
        try:
            place = path.resolve()
            fine = any(place.is_relative_to(root.resolve()) for root in self._roots)
        except (OSError, RuntimeError):
            return "Must not contain a symbolic link that points to itself."
        if fine:
            return None
        places = ", ".join(map(str, self._roots)) or "none so far"
        return (
            f"Must be in a directory that the server allows with {self.setting} ({places}), after"
            " resolving symbolic links."
        )


def output_directories(data_dir: Path, allowed: Iterable[str]) -> AllowedDirectories:
    """Return the directories in which clients may have their files written and read."""
    return AllowedDirectories("--allow-path", (data_dir / OUTPUTS, *map(Path, allowed)))


def task_directories(allowed: Iterable[str]) -> AllowedDirectories:
    """Return the directories whose task files clients may name."""
    return AllowedDirectories("--task-path", map(Path, allowed))
