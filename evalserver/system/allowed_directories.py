"""Directories in which others may name places."""

from collections.abc import Iterable
from pathlib import Path

OUTPUTS = "outputs"
"""The folder of the data directory in which clients may always have results written."""


class AllowedDirectories:
    """Some directories; ``setting`` is what names them."""

    def __init__(self, setting: str, roots: Iterable[Path]) -> None:
        self.setting = setting
        self._roots = tuple(root.absolute() for root in roots)

    def fault(self, path: Path) -> str | None:
        """Why the path may not be used, in words; None if it may.

        It must lie in one of the directories after every link in it was followed, as they are now.
        """
        try:
            place = path.resolve()
            fine = any(place.is_relative_to(root.resolve()) for root in self._roots)
        except (OSError, RuntimeError):
            return "Must not lead through a link that leads to itself."
        if fine:
            return None
        places = ", ".join(map(str, self._roots)) or "no directory so far"
        return (
            f"Must lie in a directory that the server is given with {self.setting} ({places}), also"
            " when every link in it is followed."
        )


def output_directories(data_dir: Path, allowed: Iterable[str]) -> AllowedDirectories:
    """Where clients may have files of theirs written and read."""
    return AllowedDirectories("--allow-path", (data_dir / OUTPUTS, *map(Path, allowed)))


def task_directories(allowed: Iterable[str]) -> AllowedDirectories:
    """Whose task files clients may name."""
    return AllowedDirectories("--task-path", map(Path, allowed))
