"""Job ids: UUIDs of version 7 (RFC 9562), which begin with the time.

Ids made at the same time are adjacent in the indexes of the database, so that a submission writes
half as many pages as with random ids.
"""

import os
import re
import time
from collections.abc import Iterable

VERSION = 7 << 76
VARIANT = 2 << 62
RANDOM_BITS = (1 << 76) - 1 - (3 << 62)
"""The last 80 bits, except those of version and variant."""

SHORT_LENGTH = 8
"""Characters of an id in lists: of its random end, since ids of one minute begin alike."""
LONGER = (SHORT_LENGTH, 12)
"""Characters of the ends that a list shows: the first that tell its ids apart, or else the ids."""
ID_PART = re.compile("[0-9a-f-]{4,36}")
"""What names a job: its id, or the beginning or end of it, in lower case."""


def new_job_id() -> str:
    """Create a unique id: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big") & RANDOM_BITS
    digits = f"{milliseconds << 80 | VERSION | VARIANT | random:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def short_job_id(job_id: str) -> str:
    """Return the end of an id, by which people tell jobs apart and name them."""
    return job_id[-SHORT_LENGTH:]


def short_job_ids(job_ids: Iterable[str]) -> dict[str, str]:
    """Return the ends of the ids that a list shows, by id: as short as tells all of them apart."""
    ids = set(job_ids)
    for length in LONGER:
        if len({each[-length:] for each in ids}) == len(ids):
            return {each: each[-length:] for each in ids}
    return {each: each for each in ids}
