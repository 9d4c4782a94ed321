"""The errors of the store, for its callers."""


class StoreError(Exception):
    """Base class of the store's errors."""


class DatabaseRefused(StoreError):
    """The file cannot be used: foreign, from a newer evalserver, or with an edited history."""


class BackupFailed(StoreError):
    """The copy could not be made, or is not sound; nothing is left of it."""


class ArchiveFailed(StoreError):
    """A part of the audit log could not be archived, or not removed; every event is still there."""


class StoreUnavailable(StoreError):
    """The database cannot be written or read right now; nothing was changed."""


class IllegalTransition(StoreError):
    """The job is not in a state from which this event may start; nothing was changed."""


class KeyReused(StoreError):
    """The idempotency key was used for another request; nothing was changed."""


class QueueFull(StoreError):
    """A submission supersedes fewer queued jobs than it has to, since the queue is full; nothing
    was changed."""


class SeriesFull(StoreError):
    """As many jobs of a series wait as may; nothing was changed."""


class JobNotFound(StoreError):
    """No job ever had this id."""


class JobPruned(StoreError):
    """The job existed and was pruned; only its audit events are left."""


class BatchNotFound(StoreError):
    """No batch has this id, or all of its jobs were erased."""


class TokenExists(StoreError):
    """A token has, or had, this name; nothing was changed."""


class TokenNotFound(StoreError):
    """No token ever had this name."""


class WebhookNotFound(StoreError):
    """No webhook has this id."""


class TooManyWebhooks(StoreError):
    """There are as many webhooks as may be; nothing was changed."""
