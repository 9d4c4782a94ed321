"""Which process of a distributed run this is."""

import os
import sys


def is_main_process() -> bool:
    """Return whether this is rank 0, or the only process."""
    # Imported by the training, if it is needed: importing it here would cost seconds.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return bool(distributed.get_rank() == 0)
    return os.environ.get("RANK", "0") == "0"
