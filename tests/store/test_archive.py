"""Archiving the oldest part of the audit log: every event is in the archive or in the database."""

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evalserver.store import (
    DATABASE_NAME,
    ArchiveFailed,
    JobFilter,
    JobNotFound,
    JobPruned,
    Store,
    archiving,
    check_database,
    read_archive,
    snapshot,
    verify_log,
    write_archive,
)
from evalserver.store.transaction import Transaction
from tests.auditors_story import at, live
from tests.cli.commands import run_evalserver
from tests.store.test_migrate import change, contents, read
from tests.support import ServerProcess

EVER = at(59)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A data directory with five pruned jobs and two existing ones."""
    await live(tmp_path)
    store = await Store.open(tmp_path)
    await store.jobs.prune(0)
    await store.close()
    return tmp_path


async def archive(folder: Path, name: str = "a.db", before: str = EVER) -> Path:
    """Archive as the command does while no server runs."""
    write_archive(folder / DATABASE_NAME, folder / name, before)
    await remove(folder, name)
    return folder / name


async def remove(folder: Path, name: str = "a.db") -> None:
    """Remove the archived events from the database."""
    store = await Store.open(folder)
    try:
        await store.server.remove_archived("operator", folder / name)
    finally:
        await store.close()


async def test_archive_and_database_together_contain_the_whole_log(folder: Path) -> None:
    events = "SELECT * FROM job_events ORDER BY event_id"
    before = read(folder / DATABASE_NAME, events)

    made = await archive(folder)

    assert read(made, events) + read(folder / DATABASE_NAME, events)[:-1] == before
    assert len(read(made, events)) > 10


async def test_a_database_with_an_archive_is_sound(folder: Path) -> None:
    await archive(folder)

    with snapshot(folder / DATABASE_NAME) as opened:
        verdict = check_database(opened)
    assert verdict.problem is None
    assert [part.was_read for part in verdict.parts] == [False, True]


async def test_a_second_archive_continues_the_first(folder: Path) -> None:
    first = await archive(folder, "a.db", at(9))
    second = await archive(folder, "b.db")

    [(last, last_hash)] = read(first, "SELECT max(event_id), hash FROM job_events")
    [(begin, prev_hash)] = read(second, "SELECT min(event_id), prev_hash FROM job_events")
    assert (begin, prev_hash) == (last + 1, last_hash)
    with snapshot(folder / DATABASE_NAME) as opened:
        assert check_database(opened).problem is None


async def test_an_archive_can_be_verified_without_evalserver(folder: Path) -> None:
    made = await archive(folder)

    last = "0" * 64
    with closing(sqlite3.connect(made)) as file:
        for *values, prev, found in file.execute(
            "SELECT at, actor, job_id, event, from_status, to_status, attempt, detail, prev_hash,"
            " hash FROM job_events ORDER BY event_id"
        ):
            text = json.dumps([*values, prev], separators=(",", ":"), ensure_ascii=False)
            assert prev == last
            assert hashlib.sha256(text.encode()).hexdigest() == found
            last = found


async def test_a_pruned_job_is_still_known_to_have_existed(folder: Path) -> None:
    await archive(folder)

    store = await Store.open(folder)
    with pytest.raises(JobPruned):
        await store.queries.job("lost")
    with pytest.raises(JobNotFound):
        await store.queries.job("never")
    assert await store.queries.pruned_among(["lost", "waiting", "never"]) == ["lost"]
    await store.close()


async def test_events_of_existing_jobs_are_kept(folder: Path) -> None:
    await archive(folder)

    store = await Store.open(folder)
    assert (await store.events.after(0, 10, "waiting"))[0].event == "submitted"
    assert await store.queries.run_dir("running", 1) == Path("/runs/running/1")
    assert (await store.queries.job("running")).event_id > 0
    await store.close()


async def test_only_archived_events_can_be_removed(folder: Path) -> None:
    await archive(folder)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        change(folder / DATABASE_NAME, "DELETE FROM job_events")


async def test_a_noncontiguous_archive_removes_nothing(folder: Path) -> None:
    write_archive(folder / DATABASE_NAME, folder / "a.db", at(9))
    await archive(folder, "b.db", at(8))

    with pytest.raises(ArchiveFailed, match="not the oldest"):
        await remove(folder)


async def test_an_archive_overwrites_nothing(folder: Path) -> None:
    (folder / "a.db").touch()

    with pytest.raises(ArchiveFailed, match="never overwrites"):
        write_archive(folder / DATABASE_NAME, folder / "a.db", EVER)


async def test_the_job_that_prevents_archiving_is_named(tmp_path: Path) -> None:
    await live(tmp_path)
    await archive(tmp_path, "a.db")

    with pytest.raises(ArchiveFailed, match="prune it first"):
        write_archive(tmp_path / DATABASE_NAME, tmp_path / "b.db", EVER)


async def test_the_log_continues_after_an_archive(folder: Path) -> None:
    await archive(folder)
    newest = read(folder / DATABASE_NAME, "SELECT max(event_id) FROM job_events")[0][0]

    store = await Store.open(folder)
    await store.jobs.cancel_queued("waiting", "bob", 100)
    [job] = await store.queries.last_finished(1)
    await store.close()

    assert job.event_id == newest + 1
    finish = "SELECT finish_number FROM jobs WHERE job_id = 'waiting'"
    assert read(folder / DATABASE_NAME, finish) == [(newest + 1,)]
    with snapshot(folder / DATABASE_NAME) as opened:
        assert check_database(opened).problem is None


async def test_an_unrecorded_archive_file_changes_nothing(folder: Path) -> None:
    before = contents(folder)

    write_archive(folder / DATABASE_NAME, folder / "a.db", EVER)

    assert contents(folder) == before


async def test_archives_and_database_are_verified_together(folder: Path) -> None:
    files = [await archive(folder, "a.db", at(9)), await archive(folder, "b.db")]

    with snapshot(folder / DATABASE_NAME) as opened:
        verdict = verify_log(opened, files)

    assert verdict.problem is None
    assert [(part.place, part.was_read) for part in verdict.parts] == [
        (str(files[0]), True), (str(files[1]), True), ("the database", True),
    ]  # fmt: skip


@pytest.mark.parametrize("given", [["a.db"], ["b.db"], ["a.db", "b.db", "evalserver.db"]])
async def test_a_missing_or_foreign_archive_is_named(folder: Path, given: list[str]) -> None:
    await archive(folder, "a.db", at(9))
    await archive(folder, "b.db")

    with snapshot(folder / DATABASE_NAME) as opened:
        assert verify_log(opened, [folder / name for name in given]).problem is not None


async def test_an_edited_archive_is_detected(folder: Path) -> None:
    made = await archive(folder)
    change(made, "UPDATE job_events SET actor = 'mallory' WHERE event_id = 2")

    with snapshot(folder / DATABASE_NAME) as opened:
        assert verify_log(opened, [made]).problem is not None


async def test_an_archive_of_an_existing_job_removes_nothing(tmp_path: Path) -> None:
    await live(tmp_path)
    with closing(sqlite3.connect(tmp_path / "a.db")) as file:
        file.executescript(
            f"ATTACH '{tmp_path / DATABASE_NAME}' AS source;"  # noqa: S608
            "CREATE TABLE job_events AS SELECT * FROM source.job_events"
        )
    before = contents(tmp_path)

    with pytest.raises(ArchiveFailed, match="which is there"):
        await remove(tmp_path)

    assert contents(tmp_path) == before


def test_an_event_of_an_existing_job_cannot_be_removed(tmp_path: Path) -> None:
    asyncio.run(live(tmp_path))
    change(tmp_path / DATABASE_NAME, "DROP TRIGGER audit_archives_join")
    change(tmp_path / DATABASE_NAME, "INSERT INTO audit_archives VALUES (999, 1, '', '', '', 1)")

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        change(tmp_path / DATABASE_NAME, "DELETE FROM job_events")


async def test_events_missing_from_the_archive_are_not_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "EVENTS_AT_ONCE", 3)
    write_archive(folder / DATABASE_NAME, folder / "a.db", EVER)
    made = read_archive(folder / "a.db")
    store = await Store.open(folder)
    store.watch(lambda commit: swap(folder / "a.db"))

    with pytest.raises(ArchiveFailed, match="as they are in the database"):
        await store.server.remove_archived("operator", folder / "a.db")
    await store.close()

    assert read(
        folder / DATABASE_NAME,
        "SELECT max(event_id) FROM job_events WHERE event_id <= ?",
        made.last_event,
    ) == [(made.last_event,)]


def swap(path: Path) -> None:
    """Replace the actor in every event of an archive."""
    change(path, "UPDATE job_events SET actor = 'mallory'")


@pytest.fixture
async def halfway(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory in which the removal stopped after the first batch of three events."""
    monkeypatch.setattr(archiving, "EVENTS_AT_ONCE", 3)
    write_archive(folder / DATABASE_NAME, folder / "a.db", EVER)
    made = read_archive(folder / "a.db")
    connection = sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)
    connection.row_factory = sqlite3.Row
    with closing(connection):
        tx = Transaction(connection, [])
        archiving.record_archive(tx, made, at(59), "operator")
        assert archiving.remove_piece(tx, folder / "a.db", made) == 3
    return folder


@pytest.mark.parametrize("given", [[], ["a.db"]])
async def test_an_interrupted_removal_leaves_a_sound_log(halfway: Path, given: list[str]) -> None:
    with snapshot(halfway / DATABASE_NAME) as opened:
        verdict = verify_log(opened, [halfway / name for name in given])

    assert verdict.problem is None
    assert [part.first_event for part in verdict.parts] == [1, 4]


async def test_an_interrupted_removal_is_resumed(halfway: Path) -> None:
    await remove(halfway)

    with snapshot(halfway / DATABASE_NAME) as opened:
        verdict = verify_log(opened, [halfway / "a.db"])
    assert verdict.problem is None
    assert verdict.parts[0].last_event + 1 == verdict.parts[1].first_event


async def test_no_archive_is_started_before_a_removal_has_finished(halfway: Path) -> None:
    with pytest.raises(ArchiveFailed, match="interrupted"):
        write_archive(halfway / DATABASE_NAME, halfway / "b.db", EVER)


@pytest.mark.parametrize(
    ("trigger", "forgery"),
    [
        ("audit_archives_no_update", "UPDATE audit_archives SET name = 'c.db'"),
        ("audit_archives_no_update", "UPDATE audit_archives SET last_hash = 'f'"),
        ("job_events_no_delete", "DELETE FROM job_events WHERE job_id = 'waiting'"),
        ("archived_jobs_no_delete", "DELETE FROM archived_jobs WHERE job_id = 'lost'"),
    ],
)  # fmt: skip
async def test_an_edited_archive_record_is_rejected_and_detected(
    folder: Path, trigger: str, forgery: str
) -> None:
    made = await archive(folder)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        change(folder / DATABASE_NAME, forgery)
    change(folder / DATABASE_NAME, f"DROP TRIGGER {trigger}")
    change(folder / DATABASE_NAME, forgery)

    with snapshot(folder / DATABASE_NAME) as opened:
        assert verify_log(opened, [made]).problem is not None


async def test_a_row_forged_to_hide_removed_events_is_detected(folder: Path) -> None:
    database = folder / DATABASE_NAME
    for name in ("audit_archives_join", "job_events_no_delete"):
        change(database, f"DROP TRIGGER {name}")
    change(
        database,
        "INSERT INTO audit_archives SELECT 5, 1, hash, 'ab', 'a.db', 9 FROM job_events"
        " WHERE event_id = 5",
    )
    change(database, "DELETE FROM job_events WHERE event_id <= 5")

    with snapshot(database) as opened:
        assert verify_log(opened).problem is not None


async def test_the_history_of_an_archived_job_names_its_archive(folder: Path) -> None:
    await archive(folder, "a.db", at(9))
    await archive(folder, "b.db")

    shown = await asyncio.to_thread(
        run_evalserver, "audit", "show", "lost", "--database", str(folder / DATABASE_NAME)
    )

    assert "in the archive a.db (SHA-256 " in shown.stdout, shown.stderr
    assert "in the archive b.db (SHA-256 " in shown.stdout


async def test_events_after_an_archived_one_start_with_the_oldest_kept_event(
    folder: Path,
) -> None:
    await archive(folder)
    first = "SELECT min(event_id) FROM job_events WHERE event <> 'archived'"

    store = await Store.open(folder)
    events = await store.events.after(2, 100)
    await store.close()

    assert [(events[0].event_id,)] == read(folder / DATABASE_NAME, first)
    assert "archived" not in {event.event for event in events}


async def test_jobs_finished_after_an_archived_event_are_listed(tmp_path: Path) -> None:
    await live(tmp_path)
    store = await Store.open(tmp_path)
    before = await store.queries.finished_page(JobFilter(), 100, 1)
    await store.close()
    await archive(tmp_path, "a.db")

    store = await Store.open(tmp_path)
    after = await store.queries.finished_page(JobFilter(), 100, 1)
    await store.close()

    assert after == before


async def test_a_running_server_archives(server: ServerProcess, tmp_path: Path) -> None:
    async with server:
        for _ in range(2):
            job_id = await server.api.submit()
            await server.api.finished(job_id)
            await server.api.call("POST", f"/jobs/{job_id}/prune")
        where = ("--data-dir", str(server.data_dir))
        arguments = ("audit", "archive", "--before", "2999-01-01", str(tmp_path / "a.db"), *where)

        made = await asyncio.to_thread(run_evalserver, *arguments)
        assert made.returncode == 0, made.stderr
        verified = await asyncio.to_thread(
            run_evalserver, "audit", "verify", "--archive", str(tmp_path / "a.db"), *where
        )
        await server.api.call("GET", f"/jobs/{job_id}", 410)
        await server.api.finished(await server.api.submit())

    assert "Events 1 to " in verified.stdout, verified.stderr
    assert server.query("SELECT event FROM job_events WHERE event = 'archived'") == ["archived"]


async def test_archiving_is_not_possible_over_the_network(server: ServerProcess) -> None:
    body = {"path": "/a"}
    async with server:
        await server.api.call("POST", "/audit/archives", 403, json=body)
