"""Cached answers of harnesses outside a job, per version of the harness."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Transaction
from evalserver.store.writer import Writer


@dataclass(frozen=True)
class Answer:
    """An engine's answer to one query, and the version that gave it."""

    engine: str
    question: str
    version: str
    answer: list[str]
    fetched_at: str


def keep(tx: Transaction, answer: Answer) -> None:
    """Keep an answer in place of an older one to the same question."""
    tx.execute(
        """
        INSERT INTO engine_cache (engine, question, version, answer, fetched_at)
        VALUES (:engine, :question, :version, :answer, :fetched_at)
        ON CONFLICT (engine, question) DO UPDATE
        SET version = excluded.version, answer = excluded.answer, fetched_at = excluded.fetched_at
        """,
        {
            "engine": answer.engine,
            "question": answer.question,
            "version": answer.version,
            "answer": json_text(answer.answer),
            "fetched_at": answer.fetched_at,
        },
    )


async def find(readers: Readers, engine: str, question: str) -> Answer | None:
    """The answer that was kept last, or None."""
    rows: list[Any] = await readers.fetch(
        "SELECT * FROM engine_cache WHERE engine = :engine AND question = :question",
        {"engine": engine, "question": question},
    )
    if not rows:
        return None
    row = rows[0]
    return Answer(engine, question, row["version"], orjson.loads(row["answer"]), row["fetched_at"])


class EngineCache:
    """Caches the answers of harnesses to queries outside a job, such as their tasks."""

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def keep(self, engine: str, question: str, version: str, answer: list[str]) -> None:
        """Keep an answer in place of an older one to the same question."""
        entry = Answer(engine, question, version, answer, self._now())
        await self._writer.run(lambda tx: keep(tx, entry))

    async def find(self, engine: str, question: str) -> Answer | None:
        """Return the answer that was kept last, or None."""
        return await find(self._readers, engine, question)
