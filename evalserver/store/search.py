"""Searching jobs by an id, or a part of a name or of a model argument.

No index supports substring search. But there are few different models and tasks, however many jobs
there are: SQLite steps through the distinct names in their index, and those that contain the text
are then looked up as full names. Model arguments differ from job to job: their texts are kept in a
separate table, which is scanned quickly, newest first.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from evalserver.core.job_id import ID_PART
from evalserver.core.masking import MASK, masked
from evalserver.store.criteria import JobFilter
from evalserver.store.readers import Readers

MAX_NAMES = 50
"""The maximum number of names of one kind; a broader search has to be narrowed."""

MAX_TEXT = 4096
"""Characters of a job's arguments that are searched: more would make every search slow."""

NAMES = """
    WITH RECURSIVE names (name) AS (
        SELECT min({column}) FROM {table}
        UNION ALL
        SELECT (SELECT min({column}) FROM {table} WHERE {column} > names.name)
        FROM names WHERE names.name IS NOT NULL
    )
    SELECT name FROM names
    WHERE name IS NOT NULL AND instr(lower(name), lower(:part)) > 0
    LIMIT :most
"""
PLACES = {"model": ("model", "jobs"), "task": ("task", "job_tasks")}
"""The kinds of names that are searched, and their column and table."""


async def with_search(readers: Readers, wanted: JobFilter) -> JobFilter:
    """The filter, with its search resolved to names, and its part of an id to ids."""
    if wanted.job_id is not None:
        ends = await _ids_with_end(readers, wanted.job_id)
        wanted = replace(wanted, ids=(wanted.job_id, *ends))
    if wanted.search is None:
        return wanted
    part = wanted.search.lower()
    named = []
    if ID_PART.fullmatch(part):
        named = [("id", each) for each in (part, *await _ids_with_end(readers, part))]
    named.append(("argument", part))
    for kind, (column, table) in PLACES.items():
        rows = await readers.fetch(
            NAMES.format(column=column, table=table), {"part": part, "most": MAX_NAMES}
        )
        named += [(kind, row["name"]) for row in rows]
    return replace(wanted, named=tuple(named))


async def _ids_with_end(readers: Readers, end: str) -> list[str]:
    """The ids that end so.

    This scans the index of the ids: 20 ms for 100 000 jobs. An index of their random ends would
    cost each submission a page.
    """
    rows = await readers.fetch(
        "SELECT job_id FROM jobs WHERE substr(job_id, -length(:end)) = :end LIMIT :most",
        {"end": end, "most": MAX_NAMES},
    )
    return [row["job_id"] for row in rows]


def searched_text(*arguments: Mapping[str, Any] | None) -> str | None:
    """The searchable text of arguments of a model and of a harness: the values that are not secret;
    None if there are none."""
    texts: list[str] = []
    for each in arguments:
        if each:
            _add_texts(masked(each), texts)
    return "\n".join(texts).lower()[:MAX_TEXT] or None


def _add_texts(value: Any, texts: list[str]) -> None:
    if isinstance(value, str):
        if value != MASK:
            texts.append(value)
    elif isinstance(value, Mapping):
        for below in value.values():
            _add_texts(below, texts)
    elif isinstance(value, list | tuple):
        for below in value:
            _add_texts(below, texts)
