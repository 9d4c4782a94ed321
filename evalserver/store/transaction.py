"""Units of work, and the transaction in which they run."""

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
    """The interface of a unit of work: run statements, and announce the events that it wrote."""

    def __init__(self, connection: sqlite3.Connection, events: list[CommittedEvent]) -> None:
        self._connection = connection
        self.events = events
        self.last_hash: str | None = None
        """Of the audit log's newest event, once somebody has looked: nobody else writes."""

    def execute(self, sql: str, parameters: Parameters | None = None) -> list[Row]:
        """Run one statement and return its rows (those of a RETURNING clause, for a change)."""
        return self._connection.execute(sql, parameters or {}).fetchall()

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> range:
        """Insert rows into a table with ascending row numbers, and return the numbers.

        The statement selects from ``json_each(:rows)``, where a ``value`` is a row as an array.
        """
        text = json_text(rows)
        last = self._connection.execute(sql, {"rows": text}).lastrowid or 0
        return range(last - len(rows) + 1, last + 1)


Work = Callable[[Transaction], T]
"""A unit of work. It may be run twice, in which case the first run is rolled back."""


class BatchOperation(Generic[T]):
    """A unit of work that can be executed together with pending ones of its kind.

    One statement for all costs far less than one for each: at every statement the writer's thread
    has to wait for the interpreter.
    """

    def __call__(self, tx: Transaction) -> T:
        """Execute this unit alone."""
        return self.run_batch(tx, [self])[0]

    @classmethod
    @abstractmethod
    def run_batch(cls, tx: Transaction, works: list[Self]) -> list[T]:
        """Execute all units in order; returns the result of each."""
