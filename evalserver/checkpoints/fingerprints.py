"""What a local checkpoint was: its files, so that it shows when somebody wrote over it.

Names, sizes and times of all files, and SHA-256 of the small ones and of the weights' index; of all
files only where that is wanted, since it reads every byte.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalserver.checkpoints.fingerprint_access import FingerprintAccess
from evalserver.checkpoints.readiness import INDEX, MAX_INDEX_BYTES, local_checkpoints
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.directory_listing import Listing, list_files
from evalserver.system.untrusted_files import UnreadableFile, open_named_file

SMALL_BYTES = 1024 * 1024

MAX_QUICK_BYTES = 256 * 1024 * 1024
"""All that is hashed of one checkpoint, in the order of names, unless every byte is wanted."""

PIECE_BYTES = 1024 * 1024

Fingerprint = dict[str, Any]


def fingerprints(
    model_args: Mapping[str, Any] | None, allowed: AllowedDirectories | None, *, full: bool
) -> dict[str, Fingerprint]:
    """The fingerprint of each local checkpoint that is there, by the argument that names it.

    ``digest`` stands for names, sizes, times and small files; ``content_digest``, if ``full``, for
    every byte. A place that is neither in ``allowed`` nor looks like a checkpoint has none.
    """
    there = {
        key: path
        for key, path in local_checkpoints(model_args).items()
        if os.path.exists(path)  # noqa: PTH110 - a path may be too long for Path.exists
        if FingerprintAccess(path, allowed).covers_path()
    }
    return {key: fingerprint(path, allowed, full=full) for key, path in there.items()}


def fingerprint(
    path: Path, allowed: AllowedDirectories | None = None, *, full: bool
) -> Fingerprint:
    """The fingerprint of one checkpoint. What cannot be read has no hash."""
    listing = list_files(path)
    if listing.incomplete is not None:
        # Which files were seen depends on chance, so there is nothing to compare.
        return {
            "path": str(path),
            "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "digest": None,
            "content_digest": None,
            "bytes": None,
            "files": [],
            "incomplete": listing.incomplete,
        }
    access = FingerprintAccess(path, allowed)
    files = list(_files(path, listing, access, full=full))
    told = [{name: value for name, value in each.items() if name != "content"} for each in files]
    contents = [[each["name"], each["content"]] for each in files]
    return {
        "path": str(path),
        "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "digest": _digest(told),
        "content_digest": _digest(contents) if full else None,
        "bytes": sum(each["size"] for each in files),
        "files": told,
    }


def _files(
    path: Path, listing: Listing, access: FingerprintAccess, *, full: bool
) -> Iterator[dict[str, Any]]:
    left = MAX_QUICK_BYTES
    for name, status in sorted(listing.files, key=lambda file: file[0]):
        place = path / name if path.is_dir() else path
        is_index = fnmatchcase(place.name, INDEX) and status.st_size <= MAX_INDEX_BYTES
        small = (status.st_size <= SMALL_BYTES or is_index) and status.st_size <= left
        left -= status.st_size if small else 0
        sha256 = _sha256(place, access) if small or full else None
        yield {
            "name": name,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": sha256 if small else None,
            "content": sha256,
        }


def _sha256(path: Path, access: FingerprintAccess) -> str | None:
    digest = hashlib.sha256()
    try:
        with open_named_file(path) as file:
            if not access.covers_file(file.fileno()):
                return None
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    except (OSError, UnreadableFile):
        return None
    return digest.hexdigest()


def _digest(value: object) -> str:
    in_order = sorted(json.dumps(each) for each in value) if isinstance(value, list) else value
    return hashlib.sha256(json.dumps(in_order).encode()).hexdigest()
