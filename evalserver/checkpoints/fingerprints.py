"""Fingerprints of local checkpoints, which show whether a checkpoint was overwritten.

A fingerprint holds the names, sizes and times of all files, and the SHA-256 of small files and of
the index of the weights. A full fingerprint hashes all files, which reads every byte.
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
"""Maximum bytes hashed of one checkpoint, in the order of file names, unless ``full``."""

CHUNK_BYTES = 1024 * 1024

Fingerprint = dict[str, Any]


def fingerprints(
    model_args: Mapping[str, Any] | None, allowed: AllowedDirectories | None, *, full: bool
) -> dict[str, Fingerprint]:
    """Return the fingerprint of each existing local checkpoint, by the argument that names it.

    ``digest`` covers names, sizes, times and small files; ``content_digest``, if ``full``, every
    byte. A path that is neither in ``allowed`` nor looks like a checkpoint has no fingerprint.
    """
    there = {
        key: path
        for key, path in local_checkpoints(model_args).items()
        if os.path.exists(path)  # noqa: PTH110 - Path.exists raises an error if the path is too long
        if FingerprintAccess(path, allowed).covers_path()
    }
    return {key: fingerprint(path, allowed, full=full) for key, path in there.items()}


def fingerprint(
    path: Path, allowed: AllowedDirectories | None = None, *, full: bool
) -> Fingerprint:
    """Return the fingerprint of one checkpoint. Files that cannot be read have no hash."""
    listing = list_files(path)
    if listing.incomplete is not None:
        # Which files were listed depends on chance, so there is nothing to compare.
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
    entries = [{name: value for name, value in each.items() if name != "content"} for each in files]
    contents = [[each["name"], each["content"]] for each in files]
    return {
        "path": str(path),
        "taken_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "digest": _digest(entries),
        "content_digest": _digest(contents) if full else None,
        "bytes": sum(each["size"] for each in files),
        "files": entries,
    }


def _files(
    path: Path, listing: Listing, access: FingerprintAccess, *, full: bool
) -> Iterator[dict[str, Any]]:
    left, is_directory = MAX_QUICK_BYTES, path.is_dir()
    for name, status in listing.files:
        place = path / name if is_directory else path
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
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except (OSError, UnreadableFile):
        return None
    return digest.hexdigest()


def _digest(value: object) -> str:
    in_order = sorted(json.dumps(each) for each in value) if isinstance(value, list) else value
    return hashlib.sha256(json.dumps(in_order).encode()).hexdigest()
