"""The records of leases: what was made for which job, written before it is made.

One JSON file a job, in a directory of the data directory. So a lease is found again, and removed,
whatever crashes in between.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from evalserver.core.durable_files import remove_drafts, write_durably
from evalserver.core.request import MARK

log = structlog.get_logger("evalserver.checkpoints.leases")

LEASES_NAME = ".evalserver-leases"
"""The directory beside a checkpoint with the links or copies of its files."""

RECORDS_NAME = "leases"
"""The directory of records, in the data directory."""

RECORDS = "*.json"


@dataclass(frozen=True)
class LeasedPath:
    """One checkpoint of a lease.

    ``original`` is the path in the request, ``real`` the same without symbolic links, and
    ``arguments`` the model arguments that name it. ``files`` are the relative paths of what was
    linked or copied; empty for a mark, and ``""`` alone for a checkpoint that is one file.
    """

    original: str
    real: str
    arguments: tuple[str, ...]
    files: tuple[str, ...] = ()
    digest: str = ""
    """Of the names, sizes and times of the files, as ``readiness.signature`` has it."""

    @property
    def field(self) -> str:
        """The field of the request that names the checkpoint."""
        argument = self.arguments[0]
        return f"model_args.{argument}" if argument else "lmms_engine_kwargs.model_path"


@dataclass(frozen=True)
class Lease:
    """What was made for a job: ``kind`` is a value of the field ``lease``."""

    job_id: str
    kind: str
    paths: tuple[LeasedPath, ...]

    @property
    def has_files(self) -> bool:
        """Whether the evaluation reads files of the lease, not those of the trainer."""
        return self.kind != MARK

    def place(self, leased: LeasedPath) -> Path:
        """Return the path that the evaluation reads."""
        real = Path(leased.real)
        if not self.has_files:
            return real
        return real.parent / LEASES_NAME / self.job_id / real.name


class LeaseRecords:
    """The records of one data directory. All methods access the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> Iterator[Lease]:
        """Yield every lease on record. Records that cannot be read are left, and logged."""
        if not self._folder.is_dir():
            return
        with suppress(OSError):  # Not essential: they are small, and never read.
            remove_drafts(self._folder, RECORDS)
        for file in sorted(self._folder.glob(RECORDS)):
            try:
                yield _lease_of(json.loads(file.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("cannot read the record of a lease", file=str(file), error=repr(error))

    def add(self, lease: Lease) -> None:
        """Write a record; it is on disk when this returns. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_durably(self._file(lease.job_id), json.dumps(asdict(lease)).encode())

    def remove(self, job_id: str) -> None:
        """Remove a record. Raises OSError."""
        with suppress(FileNotFoundError):
            self._file(job_id).unlink()

    def _file(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"


def _lease_of(content: dict[str, Any]) -> Lease:
    paths = tuple(
        LeasedPath(
            str(each["original"]),
            str(each["real"]),
            tuple(map(str, each["arguments"])),
            tuple(map(str, each["files"])),
            str(each["digest"]),
        )
        for each in content["paths"]
    )
    return Lease(str(content["job_id"]), str(content["kind"]), paths)
