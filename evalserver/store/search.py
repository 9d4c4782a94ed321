"""Searching jobs by a part of a name.

No index finds a text within a text. But of models and tasks there are few different ones, however
many jobs there are: SQLite goes from one to the next in their index, and those that contain the
text are then looked up as whole names.
"""

import re
from dataclasses import replace

from evalserver.store.criteria import JobFilter
from evalserver.store.readers import Readers

MOST_NAMES = 50
"""Of a kind; who means more has to say more."""

ID_BEGINS = re.compile(r"[0-9a-f-]{4,36}")

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


async def with_names(readers: Readers, wanted: JobFilter) -> JobFilter:
    """The filter, with the names that its search means."""
    if wanted.search is None:
        return wanted
    part = wanted.search.lower()
    named = [("id", part)] if ID_BEGINS.fullmatch(part) else []
    for kind, (column, table) in PLACES.items():
        rows = await readers.fetch(
            NAMES.format(column=column, table=table), {"part": part, "most": MOST_NAMES}
        )
        named += [(kind, row["name"]) for row in rows]
    return replace(wanted, named=tuple(named))
