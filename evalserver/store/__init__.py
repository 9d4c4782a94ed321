"""The store: the only code that knows SQL."""

from evalserver.store.errors import (
    DatabaseRefused,
    IllegalTransition,
    JobNotFound,
    JobPruned,
    StoreError,
    StoreUnavailable,
)
from evalserver.store.store import Store
from evalserver.store.writer import CommittedEvent

__all__ = [
    "CommittedEvent",
    "DatabaseRefused",
    "IllegalTransition",
    "JobNotFound",
    "JobPruned",
    "Store",
    "StoreError",
    "StoreUnavailable",
]
