"""What a lease of a request would consist of, and why there can be none.

A client names the paths. So they must be in a directory that the operator allows, after symbolic
links are resolved: the server makes links and files there with its own rights.
"""

import os
from dataclasses import replace
from pathlib import Path

from evalserver.checkpoints.leases.records import Lease, LeasedPath
from evalserver.checkpoints.leases.refusals import LeaseRefused
from evalserver.checkpoints.readiness import (
    Signature,
    local_checkpoints,
    not_ready_reason,
    signature,
)
from evalserver.core.request import MARK, EvaluateRequest
from evalserver.system.allowed_directories import AllowedDirectories
from evalserver.system.directory_listing import Listing, list_files


def lease_faults(request: EvaluateRequest) -> dict[str, str]:
    """Return why a request cannot have its lease, as far as the request itself shows it."""
    if request.lease is None:
        return {}
    if request.lmms_engine_kwargs is not None and request.lease != MARK:
        return {
            "lease": f"Must be {MARK} with lmms_engine_kwargs: merging reads the shards where they"
            " are, and writes beside them."
        }
    if request.wait_for_path_s is not None:
        return {
            "lease": "Must not be combined with wait_for_path_s: there is nothing to keep before"
            " the checkpoint is complete. Submit it when it is."
        }
    return {}


def plan_lease(job_id: str, request: EvaluateRequest, allowed: AllowedDirectories) -> Lease:
    """Return the lease that a request asks for. Reads the disk. Raises LeaseRefused."""
    kind = request.lease or MARK
    by_place: dict[str, LeasedPath] = {}
    for field, argument, path in _checkpoints(request):
        real = os.path.realpath(path)
        known = by_place.get(real)
        if known is None:
            files = _checked_files(field, Path(real), allowed, kind)
            by_place[real] = LeasedPath(str(path), real, (argument,), files, _digest(real, kind))
        else:
            by_place[real] = replace(known, arguments=(*known.arguments, argument))
    if not by_place:
        raise LeaseRefused(
            "lease", "Needs a checkpoint on the server's machine: model_args name none."
        )
    return Lease(job_id, kind, tuple(by_place.values()))


def _checkpoints(request: EvaluateRequest) -> list[tuple[str, str, Path]]:
    """Return the checkpoints of a request: field, model argument, path."""
    merge = request.lmms_engine_kwargs
    if merge is not None:
        return [("lmms_engine_kwargs.model_path", "", Path(merge["model_path"]).absolute())]
    return [
        (f"model_args.{argument}", argument, path)
        for argument, path in local_checkpoints(request.model_args).items()
    ]


def _checked_files(
    field: str, real: Path, allowed: AllowedDirectories, kind: str
) -> tuple[str, ...]:
    fault = allowed.fault(real)
    if fault is not None:
        raise LeaseRefused(field, f"A lease is made with the server's rights. {fault}")
    if kind != MARK and (fault := allowed.fault(real.parent)) is not None:
        raise LeaseRefused(field, f"A lease is made beside it, in {real.parent}. {fault}")
    reason = not_ready_reason(real)
    if reason is not None:
        raise LeaseRefused(field, f"{real} {reason}, so there is nothing to keep.")
    if kind == MARK:
        if not real.is_dir():
            raise LeaseRefused(field, f"{real} is one file, and a mark needs a directory.")
        return ()
    return _file_names(field, real)


def _file_names(field: str, real: Path) -> tuple[str, ...]:
    if not real.is_dir():
        return ("",)
    listing: Listing = list_files(real)
    if listing.incomplete is not None:
        raise LeaseRefused(field, f"{real} {listing.incomplete}.")
    linked = _find_linked_directory(real)
    if linked is not None:
        raise LeaseRefused(
            field, f"{linked} is a symbolic link to a directory, which a lease cannot keep."
        )
    return tuple(name for name, _ in listing.files)


def _find_linked_directory(real: Path) -> Path | None:
    """Return a link to a directory below a path. The listing has bounded how much there is."""
    for folder, names, _ in os.walk(real):
        for name in names:
            if Path(folder, name).is_symlink():
                return Path(folder, name)
    return None


def _digest(real: str, kind: str) -> str:
    found = None if kind == MARK else signature(Path(real))
    return found.digest if isinstance(found, Signature) else ""
