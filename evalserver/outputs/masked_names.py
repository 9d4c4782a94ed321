"""Masking secrets in the names of an attempt's files and directories by renaming them.

Lists, pages and archives then show no secrets, and every file can be opened by its displayed name.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from evalserver.outputs.artifacts import open_output_directory
from evalserver.runner.output import Mask


def mask_path(path: str, encoded_secrets: Sequence[bytes]) -> str:
    """Return the path with each byte of a secret replaced by an asterisk. The path is masked as a
    whole, because a secret that contains slashes can span several names."""
    mask = Mask(encoded_secrets, lambda secret: re.sub(rb"[^/]", b"*", secret))
    return os.fsdecode(mask.feed(os.fsencode(path)) + mask.rest())


def mask_names(
    output_dir: Path, paths: Iterable[str], encoded_secrets: Sequence[bytes]
) -> list[str]:
    """Rename those of these files and of their directories that have a secret in their name.

    Nothing is overwritten: if a name is taken, a number is added. Returns the masked names of what
    could not be renamed.
    """
    new_names: dict[tuple[str, ...], str] = {}
    for path in paths:
        names, masked = path.split("/"), mask_path(path, encoded_secrets).split("/")
        for level, (name, new) in enumerate(zip(names, masked, strict=True)):
            if name != new:
                new_names.setdefault(tuple(names[: level + 1]), new)
    failed = []
    # The deepest first, since parents must keep their old names until then.
    for path_names in sorted(new_names, key=len, reverse=True):
        try:
            _rename(output_dir, path_names, new_names[path_names])
        except OSError:
            failed.append(new_names[path_names])
    return failed


def _rename(output_dir: Path, path_names: tuple[str, ...], masked: str) -> None:
    *parents, name = path_names
    with open_output_directory(output_dir, tuple(parents)) as directory:
        free = next(each for each in _candidates(masked) if not _exists(each, directory))
        os.rename(name, free, src_dir_fd=directory, dst_dir_fd=directory)


def _candidates(masked: str) -> Iterator[str]:
    yield masked
    start = masked.index("*")
    for number in map("~{}".format, count(2)):
        # The number replaces asterisks, so that no name becomes too long.
        yield masked[:start] + number + masked[start + len(number) :]


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
