"""Streaming a zip archive: it is built while it is sent, and never stored as a whole."""

import os
import re
import stat
import time
import zipfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from evalserver.outputs.artifacts import Artifact, ArtifactNotFound, open_artifact

CHUNK_BYTES = 256 * 1024
"""Bytes read from a file, and about the size of a chunk of the archive."""

COMPRESSION_LEVEL = 1
"""The fastest: the machine has evaluations to run."""

MIN_MODIFIED, MAX_MODIFIED = 315_619_200.0, 4_354_646_400.0
"""In seconds since the epoch: a day after the beginning of 1980, and a day before the end of 2107.
Zip entries can only have local times of these years."""

UNSAFE_CHARACTERS = re.compile(r'[\\:*?"<>|%\x00-\x1f\x7f\udc80-\udcff]')
"""Characters with a special meaning in file names on some system, or not allowed in them."""

MAX_LISTED_FILES = 100
"""In the comment of the archive."""


def zip_chunks(output_dir: Path, artifacts: Iterable[Artifact]) -> Generator[bytes, None, None]:
    """Yield the chunks of a zip archive of these files.

    Files that were removed meanwhile are left out, and listed in the comment of the archive. Each
    chunk blocks briefly. Raises OSError if a file cannot be read to its end.
    """
    buffer = _Buffer()
    missing: list[str] = []
    with zipfile.ZipFile(
        buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL
    ) as archive:
        for artifact in artifacts:
            try:
                file = open_artifact(output_dir, artifact.path)
            except ArtifactNotFound:
                missing.append(safe_name(artifact.path))
                continue
            with file:
                yield from _add(archive, buffer, file, safe_name(artifact.path))
        archive.comment = _comment(missing)
    yield buffer.take()


def safe_name(path: str) -> str:
    """Return a path as the name of an entry, with unsafe characters percent-encoded."""
    return UNSAFE_CHARACTERS.sub(_percent_encode, path)


def _add(archive: zipfile.ZipFile, buffer: "_Buffer", file: BinaryIO, name: str) -> Iterator[bytes]:
    state = os.fstat(file.fileno())
    # Of a file that is still growing, only the present length is read.
    left = state.st_size
    with archive.open(_entry(name, state), "w") as entry:
        while chunk := file.read(min(left, CHUNK_BYTES)):
            entry.write(chunk)
            left -= len(chunk)
            if left:
                yield buffer.take()
    if buffer.size >= CHUNK_BYTES:
        yield buffer.take()


def _entry(name: str, state: os.stat_result) -> zipfile.ZipInfo:
    modified = time.localtime(min(max(state.st_mtime, MIN_MODIFIED), MAX_MODIFIED))
    entry = zipfile.ZipInfo(name, modified[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    # The header of an entry above 2 GB differs, so the size must be known first.
    entry.file_size = state.st_size
    return entry


def _comment(missing: list[str]) -> bytes:
    if not missing:
        return b""
    names = "\n".join(missing[:MAX_LISTED_FILES])
    text = f"{len(missing)} files were removed or cannot be read, and are missing here:\n{names}"
    return text.encode()[: zipfile.ZIP_MAX_COMMENT]


def _percent_encode(unsafe: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(unsafe.group()))


class _Buffer:
    """The file that zipfile writes to: keeps the bytes until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        """Append bytes to the buffer."""
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing; zipfile calls it."""

    def close(self) -> None:
        """Do nothing; zipfile calls it."""

    def take(self) -> bytes:
        """Return the bytes written since the last call, and empty the buffer."""
        taken = b"".join(self._parts)
        self._parts, self.size = [], 0
        return taken
