"""What a unit of work is, and what it may do while it is carried out."""

import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

from evalserver.store.committed import CommittedEvent
from evalserver.store.json_text import json_text

T = TypeVar("T")

Row = sqlite3.Row
Parameters = Mapping[str, Any]


class Transaction:
    """What a unit of work may do: run statements, and announce the events that it wrote."""

    def __init__(self, connection: sqlite3.Connection, events: list[CommittedEvent]) -> None:
        self._connection = connection
        self.events = events
        self.last_hash: str | None = None
        """Of the audit log's newest event, once somebody has looked: nobody else writes."""

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement and return its rows (those of a RETURNING clause, for a change)."""
        return self._connection.execute(sql, parameters or {}).fetchall()

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> range:
        """Insert rows and return their numbers, of a table that counts its rows up.

        The statement selects from ``json_each(:rows)``, where a ``value`` is a row as an array.
        """
        text = json_text(rows)
        last = self._connection.execute(sql, {"rows": text}).lastrowid or 0
        return range(last - len(rows) + 1, last + 1)


Work = Callable[[Transaction], T]
"""A unit of work. It may be run twice, and then nothing is left of the first time."""


class BatchOperation(Generic[T]):
    """A unit of work that may be carried out at once with those of its kind that wait beside it.

    A statement for all costs far less than one for each: at every statement the writer's thread
    has to wait for the interpreter.
    """

    def __call__(self, tx: Transaction) -> T:
        """Carry out this one alone."""
        return self.run_batch(tx, [self])[0]

    @classmethod
    @abstractmethod
    def run_batch(cls, tx: Transaction, works: list[Self]) -> list[T]:
        """Carry out all of them in their order; returns what each comes to."""
