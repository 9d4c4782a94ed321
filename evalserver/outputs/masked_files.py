"""Masking secrets in the files of a harness: lm-eval writes its model arguments into them.

Each byte of a secret is overwritten in place by an asterisk, so that no file changes its length or
is incomplete at any time.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from evalserver.outputs.artifacts import ArtifactNotFound, list_artifacts, open_artifact_for_masking
from evalserver.outputs.masked_names import mask_names, mask_path
from evalserver.runner.output import Mask

CHUNK_BYTES = 1024 * 1024
MAX_FILES = 100_000
"""As many as an archive holds."""

UNDECODABLE_BYTES = "surrogateescape"
"""How Python decodes the bytes of an environment variable that are not UTF-8."""


def mask_files(output_dir: Path, secrets: Sequence[str]) -> list[str]:
    """Mask these texts in the contents and names of all files below the output directory.

    Returns the masked paths of the files that could not be read, written or renamed. The content of
    a file with several hard links is not changed, because it may belong to somebody else.
    """
    encoded_secrets = [each.encode(errors=UNDECODABLE_BYTES) for each in secrets if each]
    if not encoded_secrets:
        return []
    try:
        before = list_artifacts(output_dir, MAX_FILES)
        failed = mask_names(output_dir, [each.path for each in before.artifacts], encoded_secrets)
        listing = list_artifacts(output_dir, MAX_FILES)
    except ArtifactNotFound:
        return []
    for artifact in listing.artifacts:
        try:
            _mask(output_dir, artifact.path, encoded_secrets)
        except (OSError, ArtifactNotFound):
            failed.append(mask_path(artifact.path, encoded_secrets))
    return failed


def _mask(output_dir: Path, path: str, encoded_secrets: Sequence[bytes]) -> None:
    with open_artifact_for_masking(output_dir, path) as file:
        state = os.fstat(file.fileno())
        if state.st_nlink > 1:
            return
        if _mask_pieces(file.fileno(), encoded_secrets):
            # The newest results file is found by its modification time.
            os.utime(file.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))


def _mask_pieces(descriptor: int, encoded_secrets: Sequence[bytes]) -> bool:
    """Mask a file in pieces, also secrets across two pieces. Returns whether there was one."""
    found = False
    mask, pending, begin = Mask(encoded_secrets, _asterisks), b"", 0
    while (at := _next_data(descriptor, begin + len(pending))) is not None:
        if at > begin + len(pending):
            # A hole contains no secret, and no secret spans one.
            found |= _write_masked(descriptor, pending, mask.rest(), begin)
            pending, begin = b"", at
        piece = os.pread(descriptor, CHUNK_BYTES, at)
        if not piece:
            break
        text, masked = pending + piece, mask.feed(piece)
        found |= _write_masked(descriptor, text[: len(masked)], masked, begin)
        pending, begin = text[len(masked) :], begin + len(masked)
    return _write_masked(descriptor, pending, mask.rest(), begin) or found


def _asterisks(secret: bytes) -> bytes:
    return b"*" * len(secret)


def _write_masked(descriptor: int, text: bytes, masked: bytes, at: int) -> bool:
    """Overwrite the text if masking changed it. Returns whether it did."""
    if masked == text:
        return False
    _write(descriptor, masked, at)
    return True


def _next_data(descriptor: int, offset: int) -> int | None:
    """Return where data follows, skipping holes, which can be larger than any disk; None at the end
    of the file."""
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
