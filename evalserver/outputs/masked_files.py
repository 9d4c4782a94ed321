"""Masking what is secret in the files of a harness: lm-eval writes down its model's arguments.

Each byte of a secret becomes an asterisk, where it stands: no file gets another length, and there
is no moment at which one is half there.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from evalserver.outputs.artifacts import NoArtifact, list_artifacts, open_for_masking

CHUNK_BYTES = 1024 * 1024
MOST_LOOKED_AT = 100_000
"""Files and folders: as many as go into an archive."""

NO_TEXT = "surrogateescape"
"""How Python holds the bytes of a variable that are no text."""


def mask_files(output_dir: Path, secrets: Sequence[str]) -> list[str]:
    """Mask these texts in all files below the output directory, which are all read for that.

    Returns the paths of files that could not be looked at, or written. A file that has a further
    name elsewhere is left alone: it may be somebody's whose it is not to change.
    """
    hidden = sorted({each.encode(errors=NO_TEXT) for each in secrets if each}, key=len)
    if not hidden:
        return []
    try:
        listing = list_artifacts(output_dir, MOST_LOOKED_AT)
    except NoArtifact:
        return []
    pattern = re.compile(b"|".join(re.escape(each) for each in reversed(hidden)))
    failed = []
    for artifact in listing.artifacts:
        try:
            _mask(output_dir, artifact.path, pattern, len(hidden[-1]))
        except (OSError, NoArtifact):
            failed.append(artifact.path)
    return failed


def _mask(output_dir: Path, path: str, pattern: re.Pattern[bytes], longest: int) -> None:
    with open_for_masking(output_dir, path) as file:
        state = os.fstat(file.fileno())
        if state.st_nlink > 1:
            return
        spans = list(_spans(file.fileno(), pattern, longest))
        for start, length in spans:
            os.pwrite(file.fileno(), b"*" * length, start)
        if spans:
            # Which results file is the newest must not depend on it.
            os.utime(file.fileno(), ns=(state.st_atime_ns, state.st_mtime_ns))


def _spans(descriptor: int, pattern: re.Pattern[bytes], longest: int) -> Iterable[tuple[int, int]]:
    """Where secrets stand in a file, and how long each is; also where two pieces meet."""
    begin = 0
    kept = b""
    while piece := os.pread(descriptor, CHUNK_BYTES, begin + len(kept)):
        text = kept + piece
        for found in pattern.finditer(text):
            yield begin + found.start(), len(found.group())
        kept = text[max(0, len(text) - longest + 1) :]
        begin += len(text) - len(kept)
