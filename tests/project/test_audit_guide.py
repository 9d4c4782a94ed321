"""Every SQL statement of docs/audit.md returns the expected rows on a real database.

tests/auditors_database.py creates the database through the Store, as the server does.
"""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from evalserver.store import DATABASE_NAME, write_archive
from tests.auditors_story import at, live
from tests.store.test_audit_log import tamper
from tests.store.test_migrate import read

GUIDE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
QUESTIONS = re.findall(r"^### (\d+)\. ", GUIDE, re.MULTILINE)
Rows = list[tuple[Any, ...]]


def statements() -> list[tuple[str, str]]:
    """Return the page's statements by section, numbered if a section has several."""
    found: list[tuple[str, str]] = []
    for section in re.split(r"^##+ ", GUIDE, flags=re.MULTILINE)[1:]:
        name = re.split(r"[.\n]", section)[0]
        blocks = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
        found += [
            (name if len(blocks) == 1 else f"{name} ({number})", sql)
            for number, sql in enumerate(blocks, 1)
        ]
    return found


STATEMENTS = dict(statements())
PROTECTION = "How the history is protected"


class AuditedDatabase:
    """The database, read as an auditor reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / DATABASE_NAME

    def query(self, statement: str, **parameters: Any) -> Rows:
        """Run a statement of the page and return its rows."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(STATEMENTS[statement], parameters).fetchall()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> AuditedDatabase:
    """A database that tests do not change."""
    folder = tmp_path_factory.mktemp("story")
    asyncio.run(live(folder))
    return AuditedDatabase(folder)


@pytest.fixture
def tampered(tmp_path: Path) -> AuditedDatabase:
    """A database that the test tampers with."""
    asyncio.run(live(tmp_path))
    return AuditedDatabase(tmp_path)


EXPECTED: dict[str, tuple[dict[str, Any], Rows]] = {
    "2": ({"since": at(20), "until": at(28)}, [
        (at(20), "alice", "again", "small", '["mme"]', "completed"),
        (at(23), "bob", "unwanted", "big", '["mme"]', "cancelled"),
        (at(25), "alice", "third", "small", '["mme"]', "completed"),
    ]),
    "4": ({}, [("small", '{"size":1}', "mme", "acc", "none", 3, 0.25, 0.75)]),
    "5": ({}, [(at(10), "broken", 1, 9, "out of memory")]),
    "6": ({}, [
        (at(13), "bob", "broken", "running"),
        (at(24), "alice", "unwanted", "queued"),
    ]),
    "8": ({}, [
        (at(22), "lost", "completed", "alice"),
        (at(27), "broken", "cancelled", "bob"),
    ]),
    "9": ({}, [("alice", 4, 360.0), ("bob", 2, 180.0)]),
    "GPU time": ({"month": "2030-01"}, [("alice", 4, 0.1), ("bob", 2, 0.05)]),
    "10 (1)": ({}, []),
    "10 (2)": ({}, []),
    "10 (3)": ({}, []),
}  # fmt: skip
"""Parameters and expected rows. Each other statement has a test of its own."""

TESTED_SEPARATELY = {"1", "3", "7", f"{PROTECTION} (1)", f"{PROTECTION} (2)"}


def test_the_page_has_ten_questions() -> None:
    assert [str(number) for number in range(1, 11)] == QUESTIONS


def test_every_statement_is_tested() -> None:
    assert set(STATEMENTS) == set(EXPECTED) | TESTED_SEPARATELY


@pytest.mark.parametrize("statement", EXPECTED)
def test_a_statement_returns_the_expected_rows(database: AuditedDatabase, statement: str) -> None:
    parameters, answer = EXPECTED[statement]

    assert database.query(statement, **parameters) == answer


def test_a_jobs_history_is_listed_step_by_step(database: AuditedDatabase) -> None:
    steps = database.query("1", job_id="broken")

    assert [step[1:7] for step in steps] == [
        (at(2), "bob", "submitted", None, "queued", 0),
        (at(9), "server", "claimed", "queued", "running", 1),
        (at(10), "server", "failed", "running", "failed", 1),
        (at(11), "carol", "retried", "failed", "queued", 1),
        (at(12), "server", "claimed", "queued", "running", 2),
        (at(13), "bob", "cancel_requested", "running", "running", 2),
        (at(14), "server", "cancelled", "running", "cancelled", 2),
        (at(27), "server", "pruned", "cancelled", None, 2),
    ]
    assert json.loads(steps[1][7]) == {"run_dir": "/runs/broken/1"}


def test_a_metric_has_its_provenance(database: AuditedDatabase) -> None:
    again, third = database.query("3", model="small", task="mme")

    assert again[:9] == ("acc", "none", 0.75, 0.1, 64, "again", 1, "alice", at(22))
    assert json.loads(again[9])["model_args"] == {"size": 1}
    assert again[10:12] == ("0.1", "gpu1")
    assert json.loads(again[12]) == ["python", "-m", "lmms_eval"]
    assert third[5] == "third"


def test_a_further_attempt_has_a_reason(database: AuditedDatabase) -> None:
    lost, retried = database.query("7")

    assert lost[:5] == (at(5), "server", "lost", "interrupted", 1)
    assert json.loads(lost[5]) == {"reason": "the machine went down"}
    assert retried[:5] == (at(11), "carol", "broken", "retried", 1)
    assert json.loads(retried[5])["error"] == "out of memory"


def test_a_saved_hash_is_found_in_the_log(database: AuditedDatabase) -> None:
    [(newest, kept)] = database.query(f"{PROTECTION} (1)")

    assert (newest,) == read(database.path, "SELECT max(event_id) FROM job_events")[0]
    assert database.query(f"{PROTECTION} (2)", hash=kept) == [(newest, at(30))]
    assert database.query(f"{PROTECTION} (2)", hash="f" * 64) == []


@pytest.mark.parametrize(
    ("statement", "sql", "answer"),
    [
        ("10 (1)", "DELETE FROM job_events WHERE event_id = 4", [(5,)]),
        ("10 (1)", "DELETE FROM job_events WHERE event_id = 1", [(2,)]),
        ("10 (1)", "UPDATE job_events SET hash = 'f' WHERE event_id = 4", [(5,)]),
        ("10 (1)", "UPDATE job_events SET prev_hash = 'f' WHERE event_id = 1", [(1,)]),
        ("10 (2)", "DELETE FROM job_events WHERE event_id = 25", [(25, 24)]),
        ("10 (3)", "UPDATE jobs SET attempt = 7 WHERE job_id = 'third'",
         [("third", "completed", "completed", 7, 1)]),
        ("10 (3)", "UPDATE jobs SET job_id = 'ghost' WHERE job_id = 'waiting'",
         [("ghost", "queued", None, 0, None)]),
    ],
)  # fmt: skip
def test_tampering_is_detected(
    tampered: AuditedDatabase, statement: str, sql: str, answer: Rows
) -> None:
    tamper(tampered.path.parent, sql)

    assert tampered.query(statement) == answer


def test_every_table_view_and_column_is_in_the_guide(database: AuditedDatabase) -> None:
    names = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name <> :own"
    parts = [name for (name,) in read(database.path, names, "sqlite_sequence")]
    columns = [
        f"{part}.{column}"
        for part in parts
        for (column,) in read(database.path, "SELECT name FROM pragma_table_info(?)", part)
        if not _is_view(database.path, part)
    ]

    missing = [name for name in [*parts, *columns] if f"`{name.split('.')[-1]}`" not in GUIDE]

    assert len(columns) > 40
    assert missing == []


def _is_view(path: Path, name: str) -> bool:
    return bool(read(path, "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?", name))


def test_an_archive_is_verified_as_the_page_says(tmp_path: Path) -> None:
    asyncio.run(live(tmp_path))
    path = tmp_path / "archive.db"
    made = write_archive(tmp_path / DATABASE_NAME, path, at(59))
    [program] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)

    command = [sys.executable, "-c", program, str(path), "0" * 64]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == made.last_hash, done.stderr
