"""Finding the shards of a checkpoint to merge."""

import os

from evalserver.checkpoints.merging import Merge
from evalserver.submission.rejection import Reason, Rejected, invalid


def find_shards(wanted: Merge) -> Merge | Rejected:
    """Return the merge with the checkpoint resolved, or a rejection. Reads the disk."""
    checkpoint = wanted.model_path
    if not os.path.isdir(checkpoint):  # noqa: PTH112 - a path may be too long for Path.is_dir
        return Rejected(
            Reason.NO_CHECKPOINT,
            f"There is no checkpoint at {checkpoint}, on the server's machine",
        )
    found = wanted.pinned()
    if not os.path.isdir(found.shards):  # noqa: PTH112
        folder = found.shards.name
        return invalid(
            {"checkpoint_path": f"Has no folder {folder} with shards, nor a checkpoint-* with one."}
        )
    return found
