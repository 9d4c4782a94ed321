"""Masking what is secret in the names of an attempt's files and folders: they are renamed.

So lists, pages and archives show no secret, and every file is reached by the name that they show.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from evalserver.outputs.artifacts import open_output_directory
from evalserver.runner.output import Mask


def masked_path(path: str, hidden: Sequence[bytes]) -> str:
    """The path with an asterisk for each letter of a secret. A secret with slashes in it may reach
    over several names, so the path is looked at as a whole."""
    mask = Mask(hidden, lambda secret: re.sub(rb"[^/]", b"*", secret))
    return os.fsdecode(mask.feed(os.fsencode(path)) + mask.rest())


def mask_names(output_dir: Path, paths: Iterable[str], hidden: Sequence[bytes]) -> list[str]:
    """Rename what has a secret in its name, of these files and the folders that they are in.

    Nothing is overwritten: a name that is taken gets a number. Returns the masked names of what
    could not be renamed.
    """
    wanted: dict[tuple[str, ...], str] = {}
    for path in paths:
        names, masked = path.split("/"), masked_path(path, hidden).split("/")
        for place, (name, new) in enumerate(zip(names, masked, strict=True)):
            if name != new:
                wanted.setdefault(tuple(names[: place + 1]), new)
    failed = []
    # What is deepest first: what is above it has its old name until then.
    for whole in sorted(wanted, key=len, reverse=True):
        try:
            _rename(output_dir, whole, wanted[whole])
        except OSError:
            failed.append(wanted[whole])
    return failed


def _rename(output_dir: Path, whole: tuple[str, ...], masked: str) -> None:
    *folders, name = whole
    with open_output_directory(output_dir, tuple(folders)) as folder:
        free = next(each for each in _candidates(masked) if not _exists(each, folder))
        os.rename(name, free, src_dir_fd=folder, dst_dir_fd=folder)


def _candidates(masked: str) -> Iterator[str]:
    yield masked
    at = masked.index("*")
    for number in map("~{}".format, count(2)):
        # In the place of asterisks, so that no name becomes too long.
        yield masked[:at] + number + masked[at + len(number) :]


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
