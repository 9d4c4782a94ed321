"""Watches the free space of the data directory's disk: an event when it becomes low, once."""

import asyncio
import shutil
from pathlib import Path

import structlog

from evalserver.attempts.retry import retry_until_writable
from evalserver.store import Store

log = structlog.get_logger("evalserver.disk")

INTERVAL_SECONDS = 60.0
RECOVERED = 1.1
"""The disk is low no longer once this many times the limit is free: so that it does not flap."""


class DiskWatch:
    """Records in the server's log when less than ``low_bytes`` are free; 0: never."""

    def __init__(self, store: Store, folder: Path, low_bytes: int) -> None:
        self._store = store
        self._folder = folder
        self._low_bytes = low_bytes

    async def run(self) -> None:
        """Watch until it is cancelled."""
        while self._low_bytes:
            await retry_until_writable(self.check)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def check(self) -> None:
        """Compare the free space with the limit, and record a change."""
        usage = await asyncio.to_thread(shutil.disk_usage, self._folder)
        was_low = await self._store.server.is_disk_low()
        is_low = usage.free < self._low_bytes * (RECOVERED if was_low else 1)
        if is_low == was_low:
            return
        await self._store.server.note_disk(usage.free, usage.total, is_low=is_low)
        if is_low:
            log.warning("the disk of the data directory is nearly full", free_bytes=usage.free)
