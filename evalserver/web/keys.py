"""Keys of the application and of requests, for the handlers."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from jinja2 import Environment

from evalserver.analysis.gate_policy import Policy
from evalserver.attempts.launch import Planner
from evalserver.attempts.retention import Retention
from evalserver.checkpoints.leases.leases import Leases
from evalserver.core.health import Health
from evalserver.engines import Engine
from evalserver.engines.env_profiles import EnvProfile
from evalserver.executors.settings import ExecutorSettings
from evalserver.executors.warm import WarmParents
from evalserver.followers.webhooks.addresses import AllowedAddresses
from evalserver.followers.webhooks.dispatcher import Dispatcher
from evalserver.followers.webhooks.sender import Sender
from evalserver.gpus.guard import GpuGuard
from evalserver.gpus.inventory import Gpu
from evalserver.gpus.monitor import GpuMonitor
from evalserver.harnesses.catalog import Catalog
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import ProgressBoard
from evalserver.monitoring.prometheus import Instruments
from evalserver.outputs import SampleDiffs
from evalserver.scheduling.commands import JobCommands
from evalserver.scheduling.forecast import Forecaster
from evalserver.scheduling.scheduler import Scheduler
from evalserver.settings.server_args import ServerArgs
from evalserver.store import Store
from evalserver.submission.queue_limits import QueueLimits
from evalserver.submission.series_policies import SeriesPolicy
from evalserver.submission.submitter import Submitter
from evalserver.web.api.known_differences import KnownDifferences
from evalserver.web.api.queued_ids import QueuedIds
from evalserver.web.api.static_files import StaticFiles
from evalserver.web.http.one_at_a_time import SerialWork
from evalserver.web.openapi import OpenApiDocument
from evalserver.web.schemas.queries import Bounds
from evalserver.web.streams.event_stream import StreamLimits

ARGS = web.AppKey("args", ServerArgs)
ORIGINS: web.AppKey[Mapping[str, str]] = web.AppKey("origins")
"""The source of each setting that was given, for people."""
STARTED_AT = web.AppKey("started_at", str)
HEALTH = web.AppKey("health", Health)
STORE = web.AppKey("store", Store)
GATES: web.AppKey[Mapping[str, Policy]] = web.AppKey("gates")
"""The policies of gates, by name."""
GPUS: web.AppKey[Sequence[Gpu]] = web.AppKey("gpus")
"""The managed GPUs; empty with ``--gpus none``."""
GPU_MONITOR = web.AppKey("gpu_monitor", GpuMonitor)
GPU_GUARD = web.AppKey("gpu_guard", GpuGuard)
SCHEDULER = web.AppKey("scheduler", Scheduler)
COMMANDS = web.AppKey("commands", JobCommands)
PLANNER = web.AppKey("planner", Planner)
LEASES = web.AppKey("leases", Leases)
RETENTION = web.AppKey("retention", Retention)
BACKUP_LOCK = web.AppKey("backing_up", asyncio.Lock)
"""Held while a backup is made."""
CATALOG = web.AppKey("catalog", Catalog)
ENGINES: web.AppKey[Mapping[str, Engine]] = web.AppKey("engines")
BUS = web.AppKey("bus", EventBus)
INSTRUMENTS = web.AppKey("instruments", Instruments)
PROGRESS = web.AppKey("progress", ProgressBoard)
QUEUED_IDS = web.AppKey("queued_ids", QueuedIds)
STREAM_LIMITS = web.AppKey("stream_limits", StreamLimits)
FORECASTS = web.AppKey("forecasts", Forecaster)
ENV_PROFILES: web.AppKey[Mapping[str, EnvProfile]] = web.AppKey("env_profiles")
EXECUTOR_SETTINGS: web.AppKey[Mapping[str, ExecutorSettings]] = web.AppKey("executor_settings")
"""The executors by name, the server's own machine first."""
WARM_PARENTS = web.AppKey("warm_parents", WarmParents)
BOUNDS = web.AppKey("bounds", Bounds)
SERIES_POLICIES: web.AppKey[Sequence[SeriesPolicy]] = web.AppKey("series_policies")
"""The rules for series, in their order."""
SUBMITTER = web.AppKey("submitter", Submitter)
COMPARISON_WORK = web.AppKey("comparing", SerialWork)
"""Runs comparisons one at a time."""
LEADERBOARD_TESTS = web.AppKey("leaderboard_tests", KnownDifferences)
SAMPLE_DIFFS = web.AppKey("sample_diffs", SampleDiffs)
BATCH_WORK = web.AppKey("checking_batches", SerialWork)
"""Checks batches one at a time."""
SEARCH_WORK = web.AppKey("searching", SerialWork)
"""Runs searches of jobs one at a time."""
QUEUE_LIMITS = web.AppKey("queue_limits", QueueLimits)
WEBHOOK_ADDRESSES = web.AppKey("webhook_addresses", AllowedAddresses)
WEBHOOK_SENDER = web.AppKey("webhook_sender", Sender)
WEBHOOK_DISPATCHER = web.AppKey("webhook_dispatcher", Dispatcher)
OPENAPI = web.AppKey("description", OpenApiDocument)
TEMPLATES = web.AppKey("templates", Environment)
STATIC_FILES = web.AppKey("static_files", StaticFiles)

QUERY: web.RequestKey[Mapping[str, Any]] = web.RequestKey("query")
"""The query parameters, loaded by the route's schema."""
HEADERS: web.RequestKey[Mapping[str, Any]] = web.RequestKey("headers")
"""The headers, loaded by the route's schema."""
BODY: web.RequestKey[Any] = web.RequestKey("body")
"""The body, loaded by the route's schema."""
