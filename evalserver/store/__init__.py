"""The store: the only code that knows SQL."""

from evalserver.store.archive_file import Archive, read_archive, write_archive
from evalserver.store.backup import Backup, back_up
from evalserver.store.batches import Batch, BatchQueries, JobMetrics
from evalserver.store.check import check_database
from evalserver.store.committed import Commit, CommittedEvent
from evalserver.store.criteria import JobFilter
from evalserver.store.durations import Kind, Known, kind_of
from evalserver.store.errors import (
    ArchiveFailed,
    BackupFailed,
    BatchNotFound,
    DatabaseRefused,
    IllegalTransition,
    JobNotFound,
    JobPruned,
    KeyReused,
    QueueFull,
    SeriesFull,
    StoreError,
    StoreUnavailable,
    TokenExists,
    TokenNotFound,
    TooManyWebhooks,
    WebhookNotFound,
)
from evalserver.store.event_log import Event
from evalserver.store.event_reader import Problem
from evalserver.store.gate_store import GateStore
from evalserver.store.gate_verdicts import NEWEST_VERDICT, KeptVerdict, NewVerdict
from evalserver.store.gpu_store import GpuStore, Hold, Quarantine
from evalserver.store.gpu_usage import Period, Usage, UsageBy, UsageSummary
from evalserver.store.idempotency import Answered, Key
from evalserver.store.info import Info, describe
from evalserver.store.job_queries import JobQueries
from evalserver.store.job_store import CancelledJobs, JobStore
from evalserver.store.leaderboard import (
    MAX_LEADERBOARD_JOBS,
    Candidate,
    Considered,
    FinishedJob,
    Number,
)
from evalserver.store.listing import NEWEST, Page
from evalserver.store.migrate import Upgrade
from evalserver.store.migrate import migrate as migrate_database
from evalserver.store.named_files import RUNS_NAME
from evalserver.store.queued_series import NOTHING, Queued
from evalserver.store.reading import snapshot
from evalserver.store.series_baselines import EarlierStep
from evalserver.store.server_events import Draining
from evalserver.store.server_store import ServerStore
from evalserver.store.sorting import Order, Place, SortedPage, SortKey
from evalserver.store.store import DATABASE_NAME, Store
from evalserver.store.stored_request import request_bytes
from evalserver.store.story import JobHistory, history_of
from evalserver.store.token_store import TokenStore
from evalserver.store.tokens import LoginSession, Token, tokens_in
from evalserver.store.trends import Point, Series
from evalserver.store.verify import Verdict, verify_log
from evalserver.store.verify_archives import Part, archives_of, first_event_id
from evalserver.store.webhook_messages import Message, NewMessage
from evalserver.store.webhook_store import ServerEvent, WebhookStore
from evalserver.store.webhooks import Webhook

__all__ = [
    "DATABASE_NAME",
    "MAX_LEADERBOARD_JOBS",
    "NEWEST",
    "NEWEST_VERDICT",
    "NOTHING",
    "RUNS_NAME",
    "Answered",
    "Archive",
    "ArchiveFailed",
    "Backup",
    "BackupFailed",
    "Batch",
    "BatchNotFound",
    "BatchQueries",
    "CancelledJobs",
    "Candidate",
    "Commit",
    "CommittedEvent",
    "Considered",
    "DatabaseRefused",
    "Draining",
    "EarlierStep",
    "Event",
    "FinishedJob",
    "GateStore",
    "GpuStore",
    "Hold",
    "IllegalTransition",
    "Info",
    "JobFilter",
    "JobHistory",
    "JobMetrics",
    "JobNotFound",
    "JobPruned",
    "JobQueries",
    "JobStore",
    "KeptVerdict",
    "Key",
    "KeyReused",
    "Kind",
    "Known",
    "LoginSession",
    "Message",
    "NewMessage",
    "NewVerdict",
    "Number",
    "Order",
    "Page",
    "Part",
    "Period",
    "Place",
    "Point",
    "Problem",
    "Quarantine",
    "QueueFull",
    "Queued",
    "Series",
    "SeriesFull",
    "ServerEvent",
    "ServerStore",
    "SortKey",
    "SortedPage",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Token",
    "TokenExists",
    "TokenNotFound",
    "TokenStore",
    "TooManyWebhooks",
    "Upgrade",
    "Usage",
    "UsageBy",
    "UsageSummary",
    "Verdict",
    "Webhook",
    "WebhookNotFound",
    "WebhookStore",
    "archives_of",
    "back_up",
    "check_database",
    "describe",
    "first_event_id",
    "history_of",
    "kind_of",
    "migrate_database",
    "read_archive",
    "request_bytes",
    "snapshot",
    "tokens_in",
    "verify_log",
    "write_archive",
]
