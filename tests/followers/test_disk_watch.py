"""A disk that becomes nearly full is recorded once, and once that it is not any more."""

from pathlib import Path

from evalserver.followers.disk_watch import DiskWatch
from evalserver.store import Store
from tests.store.test_migrate import rows

EVENTS = "SELECT event FROM server_events ORDER BY event_id"
MUCH = 2**60
"""More than any disk has."""


async def test_a_change_is_recorded_once(store: Store, tmp_path: Path) -> None:
    low, ok = DiskWatch(store, tmp_path, MUCH), DiskWatch(store, tmp_path, 1)

    for watch in (ok, low, low, ok, ok):
        await watch.check()

    assert [row[0] for row in rows(tmp_path, EVENTS)] == ["disk_low", "disk_ok"]


async def test_a_limit_of_zero_watches_nothing(store: Store, tmp_path: Path) -> None:
    await DiskWatch(store, tmp_path, 0).run()

    assert rows(tmp_path, EVENTS) == []
