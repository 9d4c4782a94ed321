"""Masking what is secret in the files of a harness: lm-eval writes down its model's arguments.

Each byte of a secret becomes an asterisk, where it stands: no file gets another length, and there
is no moment at which one is half there.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from evalserver.outputs.artifacts import NoArtifact, list_artifacts, open_for_masking
from evalserver.outputs.masked_names import mask_names, masked_path
from evalserver.runner.output import Mask

CHUNK_BYTES = 1024 * 1024
MOST_LOOKED_AT = 100_000
"""Files and folders: as many as go into an archive."""

UNDECODABLE_BYTES = "surrogateescape"
"""How Python holds the bytes of a variable that are no text."""


def mask_files(output_dir: Path, secrets: Sequence[str]) -> list[str]:
    """Mask these texts in all files below the output directory, which are all read for that, and in
    the names of files and folders.

    Returns the masked paths of files that could not be looked at, written or renamed. The content
    of a file that has a further name elsewhere is left alone: it may be somebody's whose it is not
    to change.
    """
    hidden = [each.encode(errors=UNDECODABLE_BYTES) for each in secrets if each]
    if not hidden:
        return []
    try:
        before = list_artifacts(output_dir, MOST_LOOKED_AT)
        failed = mask_names(output_dir, [each.path for each in before.artifacts], hidden)
        listing = list_artifacts(output_dir, MOST_LOOKED_AT)
    except NoArtifact:
        return []
    for artifact in listing.artifacts:
        try:
            _mask(output_dir, artifact.path, hidden)
        except (OSError, NoArtifact):
            failed.append(masked_path(artifact.path, hidden))
    return failed


def _mask(output_dir: Path, path: str, hidden: Sequence[bytes]) -> None:
    with open_for_masking(output_dir, path) as file:
        state = os.fstat(file.fileno())
        if state.st_nlink > 1:
            return
        if _mask_pieces(file.fileno(), hidden):
            # Which results file is the newest must not depend on it.
            os.utime(file.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))


def _mask_pieces(descriptor: int, hidden: Sequence[bytes]) -> bool:
    """Piece by piece; a secret may stand where two meet. Returns whether there was one."""
    found = False
    mask, kept, begin = Mask(hidden, _asterisks), b"", 0
    while (at := _next_data(descriptor, begin + len(kept))) is not None:
        if at > begin + len(kept):
            # In a hole there is no secret, and none goes through one.
            found |= _write_masked(descriptor, kept, mask.rest(), begin)
            kept, begin = b"", at
        piece = os.pread(descriptor, CHUNK_BYTES, at)
        if not piece:
            break
        text, masked = kept + piece, mask.feed(piece)
        found |= _write_masked(descriptor, text[: len(masked)], masked, begin)
        kept, begin = text[len(masked) :], begin + len(masked)
    return _write_masked(descriptor, kept, mask.rest(), begin) or found


def _asterisks(secret: bytes) -> bytes:
    return b"*" * len(secret)


def _write_masked(descriptor: int, text: bytes, masked: bytes, at: int) -> bool:
    """Write what is masked in the place of the text, if it is another; returns whether it was."""
    if masked == text:
        return False
    _write(descriptor, masked, at)
    return True


def _next_data(descriptor: int, offset: int) -> int | None:
    """Where the file's bytes go on behind a hole, which may be as large as no disk; None at its
    end."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _write(descriptor: int, text: bytes, at: int) -> None:
    while text:
        written = os.pwrite(descriptor, text, at)
        text, at = text[written:], at + written
