"""Backups: a sound copy, or none."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from evalserver.store import (
    DATABASE_NAME,
    Backup,
    BackupFailed,
    DatabaseRefused,
    Store,
    back_up,
    check_database,
    snapshot,
)
from tests.store.test_check import tamper_covertly
from tests.store.test_jobs import complete, submit
from tests.store.test_migrate import contents, read


@pytest.fixture
def backup_dir(tmp_path: Path) -> Path:
    """An empty directory for backups."""
    path = tmp_path / "shelf"
    path.mkdir()
    return path


async def test_a_backup_contains_everything_in_the_database(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    await complete(store)
    await submit(store)

    made = back_up(tmp_path / DATABASE_NAME, backup_dir / DATABASE_NAME)

    assert contents(backup_dir) == contents(tmp_path)
    assert (made.path, made.jobs, made.events) == (backup_dir / DATABASE_NAME, 2, 4)
    assert made.size == (backup_dir / DATABASE_NAME).stat().st_size


async def test_a_backup_is_a_single_file(store: Store, tmp_path: Path, backup_dir: Path) -> None:
    await complete(store)

    back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")

    assert read(backup_dir / "copy.db", "PRAGMA journal_mode") == [("delete",)]
    assert [file.name for file in backup_dir.iterdir()] == ["copy.db"]


async def test_a_backup_is_readable_by_its_owner_only(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")

    assert stat.S_IMODE((backup_dir / "copy.db").stat().st_mode) == 0o600


async def test_a_backup_continues_the_numbering_of_the_original(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    await complete(store, keep=0)

    back_up(tmp_path / DATABASE_NAME, backup_dir / DATABASE_NAME)
    restored = await Store.open(backup_dir)
    await submit(restored)
    await restored.close()

    assert read(backup_dir / DATABASE_NAME, "SELECT max(event_id) FROM job_events") == [(5,)]
    with snapshot(backup_dir / DATABASE_NAME) as opened:
        assert check_database(opened).problem is None


async def test_a_backup_of_a_busy_server_is_a_consistent_snapshot(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    busy = asyncio.gather(*(complete(store, keep=20) for _ in range(200)))
    made: list[Backup] = []
    while not busy.done():
        target = backup_dir / f"{len(made)}.db"
        made.append(await asyncio.to_thread(back_up, tmp_path / DATABASE_NAME, target))

    await busy
    events = [backup.events for backup in made]
    assert events == sorted(events)
    assert any(0 < count < 200 * 4 - 20 for count in events), "each was checked when it was made"


async def test_an_existing_file_is_not_overwritten(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    (backup_dir / "copy.db").write_text("precious")

    with pytest.raises(BackupFailed, match=r"copy\.db exists already"):
        back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")

    assert (backup_dir / "copy.db").read_text() == "precious"
    assert [file.name for file in backup_dir.iterdir()] == ["copy.db"]


async def test_a_dangling_link_is_not_overwritten(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    (backup_dir / "copy.db").symlink_to(backup_dir / "nowhere")

    with pytest.raises(BackupFailed, match="exists already"):
        back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")


async def test_a_file_created_during_the_backup_is_not_overwritten(
    store: Store, tmp_path: Path, backup_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = backup_dir / "copy.db"
    monkeypatch.setattr(os.path, "lexists", lambda _: target.write_text("precious") == 0)

    with pytest.raises(BackupFailed, match="appeared meanwhile"):
        back_up(tmp_path / DATABASE_NAME, target)

    assert target.read_text() == "precious"
    assert [file.name for file in backup_dir.iterdir()] == ["copy.db"]


async def test_a_backup_into_a_missing_directory_is_an_error(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "copy.db"

    with pytest.raises(BackupFailed, match=f"cannot write {target}: No such file or directory"):
        back_up(tmp_path / DATABASE_NAME, target)


async def test_backing_up_a_broken_log_is_reported(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    await complete(store)
    tamper_covertly(tmp_path, "UPDATE job_events SET actor = 'eve' WHERE event_id = 2")

    with pytest.raises(BackupFailed, match="not sound, and was removed: event 2"):
        back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")

    assert list(backup_dir.iterdir()) == []


def test_a_missing_database_is_not_backed_up(tmp_path: Path, backup_dir: Path) -> None:
    with pytest.raises(DatabaseRefused, match="there is no database"):
        back_up(tmp_path / DATABASE_NAME, backup_dir / "copy.db")

    assert list(backup_dir.iterdir()) == []


KILLED_BACKUP = """
import os, signal, sys
from pathlib import Path
from evalserver.store.drafts import draft_of
with draft_of(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""

WAITING_BACKUP = KILLED_BACKUP.replace(
    "os.kill(os.getpid(), signal.SIGKILL)", "print('drafted', flush=True); sys.stdin.read()"
)


async def test_the_next_backup_removes_leftovers_of_a_killed_one(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    command = [sys.executable, "-c", KILLED_BACKUP, str(backup_dir / "first.db")]
    killed = await asyncio.to_thread(subprocess.run, command, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(backup_dir.iterdir())) == 1

    back_up(tmp_path / DATABASE_NAME, backup_dir / "second.db")

    assert [file.name for file in backup_dir.iterdir()] == ["second.db"]


async def test_a_backup_keeps_the_draft_of_a_concurrent_one(
    store: Store, tmp_path: Path, backup_dir: Path
) -> None:
    command = [sys.executable, "-c", WAITING_BACKUP, str(backup_dir / "first.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"drafted\n"
        [draft] = backup_dir.iterdir()

        back_up(tmp_path / DATABASE_NAME, backup_dir / "second.db")

        assert draft.exists()
        other.kill()
