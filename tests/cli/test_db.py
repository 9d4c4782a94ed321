"""``evalserver db``: back up, check, migrate, describe."""

import asyncio
import json
import resource
import sqlite3
from pathlib import Path

import pytest

from evalserver.store import DATABASE_NAME, Store
from evalserver.store.migration_files import Migration, known_migrations
from evalserver.system.data_dir import lock_data_dir
from tests.cli.commands import assert_fails, data_dir_option, evalserver, run_evalserver
from tests.store.test_audit_log import tamper
from tests.store.test_jobs import complete, submit
from tests.store.test_migrate import ADDS_A_TABLE, NEXT, change, contents, read
from tests.support import ServerProcess


async def test_a_backup_next_to_a_running_server_reports_its_figures(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with server:
        await server.api.finished(await server.api.submit())
        copy = tmp_path / "shelf" / DATABASE_NAME
        copy.parent.mkdir()

        process = await asyncio.to_thread(
            run_evalserver, "db", "backup", copy, *data_dir_option(server.data_dir)
        )

        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout == f"{copy}: {copy.stat().st_size} bytes, 1 jobs, 3 events\n"
        assert contents(copy.parent) == contents(server.data_dir)


async def test_a_server_can_start_from_a_backup(store: Store, tmp_path: Path) -> None:
    job_id = await complete(store)
    restored = tmp_path / "restored"
    restored.mkdir()

    evalserver("db", "backup", restored / DATABASE_NAME, *data_dir_option(tmp_path))

    again = await Store.open(restored)
    assert await again.queries.job(job_id) == await store.queries.job(job_id)
    await again.close()


async def test_a_backup_does_not_overwrite_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    result = evalserver("db", "backup", tmp_path / "copy.db", *data_dir_option(tmp_path))

    assert_fails(result, f"{tmp_path}/copy.db exists already; a backup never overwrites a file")


async def test_a_backup_on_a_full_disk_leaves_no_file(store: Store, tmp_path: Path) -> None:
    await complete(store)
    shelf = tmp_path / "shelf"
    shelf.mkdir()

    def raise_disk_full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    process = run_evalserver(
        "db", "backup", shelf / "copy.db", *data_dir_option(tmp_path), preexec_fn=raise_disk_full
    )

    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith("Error: cannot make the backup: ")
    assert process.stderr.count("\n") == 1
    assert list(shelf.iterdir()) == []


async def test_an_intact_database_is_reported_as_such(store: Store, tmp_path: Path) -> None:
    await complete(store)

    result = evalserver("db", "check", *data_dir_option(tmp_path))

    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{tmp_path}/evalserver.db is valid" in result.stdout
    assert "an audit log of 3 events" in result.stdout


async def test_a_corrupt_database_is_one_line_on_stderr(store: Store, tmp_path: Path) -> None:
    tamper(tmp_path, "")

    assert_fails(
        evalserver("db", "check", *data_dir_option(tmp_path)), "job_events_no_update was taken away"
    )


async def test_a_database_of_this_version_is_up_to_date(tmp_path: Path) -> None:
    await _create_database(tmp_path)

    result = evalserver("db", "migrate", *data_dir_option(tmp_path))

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        f"{tmp_path}/evalserver.db is up to date: schema version {len(known_migrations())}\n"
    )


async def test_an_older_database_is_migrated_and_its_backup_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _create_database(tmp_path)
    _add_migration(monkeypatch, ADDS_A_TABLE)

    result = evalserver("db", "migrate", *data_dir_option(tmp_path))

    [backup] = tmp_path.glob("*.backup")
    assert result.stdout == (
        f"{tmp_path}/evalserver.db: schema version {NEXT - 1} -> {NEXT}; backup: {backup}\n"
    )
    assert read(tmp_path / DATABASE_NAME, "SELECT * FROM added") == []
    assert read(backup, "PRAGMA user_version") == [(NEXT - 1,)]


async def test_a_database_of_a_running_server_is_not_migrated(server: ServerProcess) -> None:
    async with server:
        process = await asyncio.to_thread(
            run_evalserver, "db", "migrate", *data_dir_option(server.data_dir)
        )

        assert process.returncode == 1
        assert f"pid {server.process.pid}, at {server.url}" in process.stderr


async def test_a_database_of_a_server_without_its_lock_file_is_not_migrated(
    server: ServerProcess,
) -> None:
    async with server:
        (server.data_dir / "server.lock").unlink()

        process = await asyncio.to_thread(
            run_evalserver, "db", "migrate", *data_dir_option(server.data_dir)
        )

        assert process.returncode == 1
        assert "belongs to another running server" in process.stderr


async def test_a_locked_data_directory_is_not_migrated(tmp_path: Path) -> None:
    await _create_database(tmp_path)
    with lock_data_dir(tmp_path, "http://one:1"):
        result = evalserver("db", "migrate", *data_dir_option(tmp_path))

    assert_fails(result, f"the data directory {tmp_path} belongs to a running server")


def test_a_migration_does_not_create_a_missing_database(tmp_path: Path) -> None:
    result = evalserver("db", "migrate", *data_dir_option(tmp_path / "typo"))

    assert_fails(result, "there is no database")
    assert list(tmp_path.iterdir()) == []


async def test_a_newer_database_is_not_migrated(tmp_path: Path) -> None:
    await _create_database(tmp_path)
    change(tmp_path / DATABASE_NAME, f"PRAGMA user_version = {NEXT}")

    assert_fails(
        evalserver("db", "migrate", *data_dir_option(tmp_path)), f"has schema version {NEXT}"
    )


async def test_each_figure_is_a_line_with_name_and_value(store: Store, tmp_path: Path) -> None:
    await complete(store)
    await submit(store)

    result = evalserver("db", "info", *data_dir_option(tmp_path))

    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if line[16:])
    assert lines["path"] == f"{tmp_path}/evalserver.db"
    assert lines["jobs"] == "1 queued, 0 running, 1 completed, 0 failed, 0 cancelled"
    assert lines["events"] == "4"
    assert f"sqlite version  {sqlite3.sqlite_version}" in result.stdout


async def test_the_figures_are_available_as_json(store: Store, tmp_path: Path) -> None:
    await submit(store)

    result = evalserver("db", "info", "--json", *data_dir_option(tmp_path))

    found = json.loads(result.stdout)
    assert found["jobs"]["queued"] == found["events"] == 1
    assert found["schema_version"] == found["schema_needed"] == len(known_migrations())


async def test_the_size_includes_the_write_ahead_log(store: Store, tmp_path: Path) -> None:
    await submit(store)

    found = json.loads(evalserver("db", "info", "--json", *data_dir_option(tmp_path)).stdout)

    files = [tmp_path / name for name in (DATABASE_NAME, f"{DATABASE_NAME}-wal")]
    assert found["size"] == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("name", ["PATH", "--data-dir", "--config"])
def test_the_help_of_backup_lists_its_options(name: str) -> None:
    assert name in evalserver("db", "backup", "--help").stdout


async def _create_database(folder: Path) -> None:
    store = await Store.open(folder)
    await complete(store)
    await store.close()


def _add_migration(monkeypatch: pytest.MonkeyPatch, migration: Migration) -> None:
    known = [*known_migrations(), migration]
    for module in ("migrate", "reading"):
        monkeypatch.setattr(f"evalserver.store.{module}.known_migrations", lambda: known)


async def test_a_backup_is_reported_as_json(store: Store, tmp_path: Path) -> None:
    await complete(store)
    copy = tmp_path / "copy.db"

    report = json.loads(
        evalserver("db", "backup", copy, "--json", *data_dir_option(tmp_path)).stdout
    )

    assert report == {"path": str(copy), "size": copy.stat().st_size, "jobs": 1, "events": 3}


async def test_a_check_is_reported_as_json(store: Store, tmp_path: Path) -> None:
    await complete(store)

    report = json.loads(evalserver("db", "check", "--json", *data_dir_option(tmp_path)).stdout)

    assert (report["ok"], report["jobs"], report["events"]) == (True, 1, 3)


async def test_a_failed_check_is_reported_as_json(store: Store, tmp_path: Path) -> None:
    await complete(store)
    tamper(tmp_path, "UPDATE job_events SET actor = 'nobody' WHERE event_id = 2")

    result = evalserver("db", "check", "--json", *data_dir_option(tmp_path))

    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


async def test_a_migration_is_reported_as_json(store: Store, tmp_path: Path) -> None:
    await store.close()

    report = json.loads(evalserver("db", "migrate", "--json", *data_dir_option(tmp_path)).stdout)

    assert report["before"] == report["after"]
