"""Files that an attempt has written on its node, and that a network file system does not show yet.

Such a file system believes an old listing of a directory for a while: sshfs 20 s, NFS up to 60 s.
Everything here may wait for a disk: call it in a thread.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from evalserver.runner import files
from evalserver.system.untrusted_files import (
    UnreadableFile,
    UntrustedDirectory,
    open_directory,
    read_json,
)

MAX_RECORD_BYTES = 16 * 1024 * 1024
MIN_PARTS = 3
"""Of the path of an output directory."""

Folder = tuple[str, ...]
"""The names from the output directory to a folder below it."""


def find_unseen(run_dir: Path) -> str | None:
    """Return the path of a file of ``outputs.json`` that is not in the listing of its directory, or
    that is shorter there; None if there is none, or no valid record."""
    try:
        place = UntrustedDirectory.for_attempt(run_dir)
        record = read_json(place, files.OUTPUTS_FILE, MAX_RECORD_BYTES)
    except UnreadableFile:
        return None
    directory, written = record.get("directory"), record.get("files")
    if not isinstance(directory, str) or not isinstance(written, dict):
        return None
    output_dir = Path(directory)
    if len(output_dir.parts) < MIN_PARTS:
        return None
    for folder, sizes in _by_folder(written).items():
        seen = _list_sizes(UntrustedDirectory.for_attempt(output_dir).below(*folder))
        for name, size in sizes.items():
            if seen.get(name, -1) < size:
                return str(output_dir.joinpath(*folder, name))
    return None


def _by_folder(written: Mapping[str, object]) -> Mapping[Folder, Mapping[str, int]]:
    """Return what is expected in each folder, parents first: files with their sizes, folders with
    0. A folder may be known by its name, and be missing from the listing above it."""
    folders: dict[Folder, dict[str, int]] = defaultdict(dict)
    for path, size in written.items():
        *parents, name = path.split("/")
        for depth, parent in enumerate(parents):
            folders[tuple(parents[:depth])].setdefault(parent, 0)
        if isinstance(size, int):
            folders[tuple(parents)][name] = size
    return dict(sorted(folders.items(), key=lambda item: len(item[0])))


def _list_sizes(directory: UntrustedDirectory) -> Mapping[str, int]:
    try:
        with open_directory(directory) as folder, os.scandir(folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
    except (OSError, ValueError):
        return {}
