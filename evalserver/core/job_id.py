"""The ids of jobs: UUIDs that begin with the time (RFC 9562, version 7).

Ids of one time lie side by side in the indexes of the database, and not all over them as random
ones would: a submission writes half as much.
"""

import os
import time

VERSION = 7 << 76
VARIANT = 2 << 62
RANDOM_BITS = (1 << 76) - 1 - (3 << 62)
"""Of the last 80 bits, all but those of version and variant."""


def new_job_id() -> str:
    """An id that no job has: 48 bits of milliseconds, and 74 random ones."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & RANDOM_BITS
    digits = f"{milliseconds << 80 | VERSION | VARIANT | random:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
