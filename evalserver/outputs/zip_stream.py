"""A zip archive that is made while it is sent: it is never as a whole in memory or on disk."""

import os
import re
import stat
import time
import zipfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from evalserver.outputs.artifacts import Artifact, NoArtifact, open_artifact

CHUNK_BYTES = 256 * 1024
"""So much of a file is read, and of the archive handed out, at a time."""

FAST = 1
"""zlib's quickest level: the machine has evaluations to run."""

EARLIEST, LATEST = 315_619_200.0, 4_354_646_400.0
"""In seconds of the epoch, a day after the beginning of 1980 and before the end of 2107: entries
have local times of these years alone."""

UNSAFE = re.compile(r'[\\:*?"<>|%\x00-\x1f\x7f\udc80-\udcff]')
"""What is more than a letter of a name on some system, or cannot be in one."""

MOST_NAMED = 100


def zip_chunks(output_dir: Path, artifacts: Iterable[Artifact]) -> Generator[bytes, None, None]:
    """An archive of these files, piece by piece.

    A file that is gone when its turn comes is left out, and named in the archive's comment. Blocks
    for each piece, not for long. Raises OSError when a file cannot be read to its end.
    """
    sink = _Sink()
    missing: list[str] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as archive:
        for artifact in artifacts:
            try:
                file = open_artifact(output_dir, artifact.path)
            except NoArtifact:
                missing.append(safe_name(artifact.path))
                continue
            with file:
                yield from _add(archive, sink, file, safe_name(artifact.path))
        archive.comment = _comment(missing)
    yield sink.take()


def safe_name(path: str) -> str:
    """A path as an entry's name: what could mislead whoever unpacks it is percent-encoded."""
    return UNSAFE.sub(_encoded, path)


def _add(archive: zipfile.ZipFile, sink: "_Sink", file: BinaryIO, name: str) -> Iterator[bytes]:
    state = os.fstat(file.fileno())
    # A file that still grows is taken as long as it is now.
    left = state.st_size
    with archive.open(_entry(name, state), "w") as entry:
        while chunk := file.read(min(left, CHUNK_BYTES)):
            entry.write(chunk)
            left -= len(chunk)
            if left:
                yield sink.take()
    if sink.size >= CHUNK_BYTES:
        yield sink.take()


def _entry(name: str, state: os.stat_result) -> zipfile.ZipInfo:
    modified = time.localtime(min(max(state.st_mtime, EARLIEST), LATEST))
    entry = zipfile.ZipInfo(name, modified[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    # Above 2 GB the archive has to say so before the file's bytes.
    entry.file_size = state.st_size
    return entry


def _comment(missing: list[str]) -> bytes:
    if not missing:
        return b""
    named = "\n".join(missing[:MOST_NAMED])
    text = f"{len(missing)} files were removed, or cannot be read, and are not in here:\n{named}"
    return text.encode()[: zipfile.ZIP_MAX_COMMENT]


def _encoded(unsafe: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(unsafe.group()))


class _Sink:
    """What zipfile writes into: keeps the bytes until they are taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        """Keep some bytes."""
        self._parts.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """There is nothing behind it to flush to."""

    def close(self) -> None:
        """There is nothing to close."""

    def take(self) -> bytes:
        """All bytes since the last call."""
        taken = b"".join(self._parts)
        self._parts, self.size = [], 0
        return taken
