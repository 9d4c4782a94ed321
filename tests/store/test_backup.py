"""Backing up: a sound copy, or none."""

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
from tests.store.test_check import tamper_unseen
from tests.store.test_jobs import complete, submit
from tests.store.test_migrate import contents, read


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """An empty directory for backups."""
    path = tmp_path / "shelf"
    path.mkdir()
    return path


async def test_a_backup_has_all_that_the_database_has(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    await complete(store)
    await submit(store)

    made = back_up(tmp_path / DATABASE_NAME, shelf / DATABASE_NAME)

    assert contents(shelf) == contents(tmp_path)
    assert (made.path, made.jobs, made.events) == (shelf / DATABASE_NAME, 2, 4)
    assert made.size == (shelf / DATABASE_NAME).stat().st_size


async def test_a_backup_is_one_plain_file(store: Store, tmp_path: Path, shelf: Path) -> None:
    await complete(store)

    back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")

    assert read(shelf / "copy.db", "PRAGMA journal_mode") == [("delete",)]
    assert [file.name for file in shelf.iterdir()] == ["copy.db"]


async def test_a_backup_is_for_its_owner_alone(store: Store, tmp_path: Path, shelf: Path) -> None:
    back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")

    assert stat.S_IMODE((shelf / "copy.db").stat().st_mode) == 0o600


async def test_a_backup_counts_on_as_the_original_does(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    await complete(store, keep=0)

    back_up(tmp_path / DATABASE_NAME, shelf / DATABASE_NAME)
    restored = await Store.open(shelf)
    await submit(restored)
    await restored.close()

    assert read(shelf / DATABASE_NAME, "SELECT max(event_id) FROM job_events") == [(5,)]
    with snapshot(shelf / DATABASE_NAME) as opened:
        assert check_database(opened).problem is None


async def test_a_backup_beside_a_busy_server_is_of_one_moment(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    busy = asyncio.gather(*(complete(store, keep=20) for _ in range(200)))
    made: list[Backup] = []
    while not busy.done():
        target = shelf / f"{len(made)}.db"
        made.append(await asyncio.to_thread(back_up, tmp_path / DATABASE_NAME, target))

    await busy
    events = [backup.events for backup in made]
    assert events == sorted(events)
    assert any(0 < count < 200 * 4 - 20 for count in events), "each was checked when it was made"


async def test_a_file_that_is_there_is_left_alone(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    (shelf / "copy.db").write_text("precious")

    with pytest.raises(BackupFailed, match=r"copy\.db exists already"):
        back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")

    assert (shelf / "copy.db").read_text() == "precious"
    assert [file.name for file in shelf.iterdir()] == ["copy.db"]


async def test_a_dangling_link_is_left_alone(store: Store, tmp_path: Path, shelf: Path) -> None:
    (shelf / "copy.db").symlink_to(shelf / "nowhere")

    with pytest.raises(BackupFailed, match="exists already"):
        back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")


async def test_a_file_that_appears_meanwhile_is_left_alone(
    store: Store, tmp_path: Path, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = shelf / "copy.db"
    monkeypatch.setattr(os.path, "lexists", lambda _: target.write_text("precious") == 0)

    with pytest.raises(BackupFailed, match="appeared meanwhile"):
        back_up(tmp_path / DATABASE_NAME, target)

    assert target.read_text() == "precious"
    assert [file.name for file in shelf.iterdir()] == ["copy.db"]


async def test_a_backup_into_no_directory_says_so(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "copy.db"

    with pytest.raises(BackupFailed, match=f"cannot write {target}: No such file or directory"):
        back_up(tmp_path / DATABASE_NAME, target)


async def test_a_broken_log_is_not_backed_up_unsaid(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    await complete(store)
    tamper_unseen(tmp_path, "UPDATE job_events SET actor = 'eve' WHERE event_id = 2")

    with pytest.raises(BackupFailed, match="not sound, and was removed: event 2"):
        back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")

    assert list(shelf.iterdir()) == []


def test_what_is_not_there_is_not_backed_up(tmp_path: Path, shelf: Path) -> None:
    with pytest.raises(DatabaseRefused, match="there is no database"):
        back_up(tmp_path / DATABASE_NAME, shelf / "copy.db")

    assert list(shelf.iterdir()) == []


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


async def test_the_next_backup_removes_what_a_killed_one_left(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    command = [sys.executable, "-c", KILLED_BACKUP, str(shelf / "first.db")]
    killed = await asyncio.to_thread(subprocess.run, command, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(shelf.iterdir())) == 1

    back_up(tmp_path / DATABASE_NAME, shelf / "second.db")

    assert [file.name for file in shelf.iterdir()] == ["second.db"]


async def test_a_backup_leaves_the_draft_of_another_one_that_is_made_alone(
    store: Store, tmp_path: Path, shelf: Path
) -> None:
    command = [sys.executable, "-c", WAITING_BACKUP, str(shelf / "first.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"drafted\n"
        [draft] = shelf.iterdir()

        back_up(tmp_path / DATABASE_NAME, shelf / "second.db")

        assert draft.exists()
        other.kill()
