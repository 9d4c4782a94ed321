"""The application: creates, connects and closes all parts of the server."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from evalserver.attempts.attempts import Attempts
from evalserver.attempts.conclusion import Concluder, Policy
from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.launcher import Launcher
from evalserver.attempts.preparation import Preparation
from evalserver.attempts.retention import Retention
from evalserver.attempts.run_directories import RunDirectories
from evalserver.attempts.stalls import StallPolicy, StallWatch
from evalserver.auth.access import Access
from evalserver.core.clock import timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.supervision import supervised
from evalserver.engines.environment import harness_environment
from evalserver.executors import Executor, Executors, LocalExecutor
from evalserver.harnesses.catalog import Catalog
from evalserver.monitoring.event_bus import EventBus
from evalserver.monitoring.progress import ProgressBoard
from evalserver.monitoring.prometheus import Instruments
from evalserver.scheduling.commands import JobCommands
from evalserver.scheduling.forecast import Forecaster
from evalserver.scheduling.scheduler import Scheduler
from evalserver.server.access_policy import make_access_policy
from evalserver.server.cannot_start import CannotStart
from evalserver.server.configured_engines import checked_profiles, configured_engines
from evalserver.server.executors import (
    configured_executors,
    make_executors,
    require_executors_of_jobs,
    require_run_roots_of_jobs,
    run_roots,
    watch_clusters,
)
from evalserver.server.followers import followers_context
from evalserver.server.gates import configured_gates
from evalserver.server.gpus import GPU_LOADS, gpu_context, make_placement, managed_gpus
from evalserver.server.leases import LEASE_SWEEP, leases_context
from evalserver.server.places import data_dir_of, runs_dir_of
from evalserver.server.series import configured_series
from evalserver.server.warm import make_warm_parents, preload_harnesses, warm_context
from evalserver.settings.server_args import ServerArgs
from evalserver.store import Store
from evalserver.submission.queue_limits import QueueLimits, Quota
from evalserver.submission.request_checks import SubmissionPolicy
from evalserver.submission.submitter import Submitter
from evalserver.system.allowed_directories import output_directories, task_directories
from evalserver.system.disk_threads import DiskThreads
from evalserver.web.dispatch import add_routes
from evalserver.web.entrance import add_entrance
from evalserver.web.http.one_at_a_time import SerialWork
from evalserver.web.keys import (
    ARGS,
    BACKUP_LOCK,
    BATCH_WORK,
    BOUNDS,
    BUS,
    CATALOG,
    COMMANDS,
    COMPARISON_WORK,
    ENGINES,
    ENV_PROFILES,
    EXECUTOR_SETTINGS,
    FORECASTS,
    GATES,
    GPU_GUARD,
    GPU_MONITOR,
    GPUS,
    HEALTH,
    INSTRUMENTS,
    LEASES,
    ORIGINS,
    PLANNER,
    PROGRESS,
    QUEUE_LIMITS,
    RETENTION,
    SCHEDULER,
    SEARCH_WORK,
    SERIES_POLICIES,
    STARTED_AT,
    STORE,
    STREAM_LIMITS,
    SUBMITTER,
    TEMPLATES,
    WARM_PARENTS,
)
from evalserver.web.pages.rendering import make_templates
from evalserver.web.schemas.queries import Bounds
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY
from evalserver.web.streams.event_stream import StreamLimits

MAX_WAITING_COMPARISONS = 8

SUBMISSION_LIMIT_SECONDS = 30.0
"""How long a disk may take to answer for the paths that one submission names."""
MAX_WAITING_BATCHES = 16
MAX_WAITING_SEARCHES = 16
MAX_SEARCH_SECONDS = 10.0


EXECUTOR = web.AppKey("executor", Executor)
"""The server's own machine."""
EXECUTORS = web.AppKey("executors", Executors)


def make_app(
    args: ServerArgs, origins: Mapping[str, str] = MappingProxyType({})
) -> web.Application:
    """Build the application, which owns all parts of the server.

    The data directory must exist, and the caller must hold its lock. Raises CannotStart if the
    interpreter, the default engine or the directory of task definitions does not exist.
    """
    app = web.Application(client_max_size=args.max_body_bytes)
    add_entrance(app)
    app[INSTRUMENTS] = Instruments()
    app[ACCESS_POLICY] = make_access_policy(args)
    app[HEALTH] = Health()
    app[ARGS] = args
    app[ORIGINS] = origins
    app[STARTED_AT] = timestamp(utc_now())
    app[TEMPLATES] = make_templates()
    app[ENGINES] = engines = configured_engines(args)
    app[ENV_PROFILES] = checked_profiles(args, engines)
    app[EXECUTOR_SETTINGS] = executors = configured_executors(args, engines)
    app[SERIES_POLICIES] = configured_series(args)
    app[GATES] = configured_gates(args, app[SERIES_POLICIES])
    app[BOUNDS] = Bounds(
        tuple(engines),
        args.max_timeout,
        data_dir_of(args),
        args.allow_path,
        args.task_path,
        tuple(each.run_root for each in executors.values() if each.run_root is not None),
    )
    app[GPUS] = managed_gpus(args.gpus)
    app[WARM_PARENTS] = make_warm_parents(args)
    app[EXECUTOR] = LocalExecutor(warm=app[WARM_PARENTS], on_start=app[INSTRUMENTS].on_runner_start)
    app[EXECUTORS] = make_executors(executors, app[EXECUTOR])
    app[BUS] = EventBus()
    app[PROGRESS] = ProgressBoard(app[BUS])
    app[COMPARISON_WORK] = SerialWork("comparisons", MAX_WAITING_COMPARISONS)
    app[BATCH_WORK] = SerialWork("batches", MAX_WAITING_BATCHES)
    app[SEARCH_WORK] = SerialWork("searches", MAX_WAITING_SEARCHES, MAX_SEARCH_SECONDS)
    app[BACKUP_LOCK] = asyncio.Lock()
    app[STREAM_LIMITS] = StreamLimits()
    app[QUEUE_LIMITS] = QueueLimits(
        Quota(args.max_queued_jobs, args.max_queued_bytes),
        Quota(args.max_queued_per_token, args.max_queued_bytes_per_token),
    )
    app.on_shutdown.append(_close_streams)
    app.cleanup_ctx.extend(
        [
            _store,
            leases_context,
            _access,
            _catalog,
            gpu_context,
            _submitter,
            warm_context,
            _scheduler,
            followers_context,
        ]
    )
    add_routes(app)
    return app


async def _store(app: web.Application) -> AsyncIterator[None]:
    app[STORE] = await Store.open(data_dir_of(app[ARGS]), health=app[HEALTH])
    try:
        await require_executors_of_jobs(app[STORE], app[EXECUTOR_SETTINGS])
        await require_run_roots_of_jobs(app[STORE], app[EXECUTOR_SETTINGS])
    except CannotStart:
        await app[STORE].close()
        raise
    app[STORE].subscribe(app[PROGRESS].on_event)
    app[STORE].subscribe(app[BUS].on_event)
    app[STORE].subscribe(app[INSTRUMENTS].on_event)
    app[QUEUE_LIMITS].load(await app[STORE].queries.queued_by_submitter())
    app[STORE].subscribe(app[QUEUE_LIMITS].on_event)
    app[STORE].watch(app[INSTRUMENTS].on_commit)
    yield
    await app[STORE].close()


async def _access(app: web.Application) -> AsyncIterator[None]:
    app[ACCESS] = Access(app[STORE].tokens)
    await app[ACCESS].load()
    yield
    await app[ACCESS].close()


async def _catalog(app: web.Application) -> AsyncIterator[None]:
    environment = harness_environment(os.environ, app[ARGS].engine_env)
    app[CATALOG] = Catalog(app[STORE], app[ENGINES], environment, app[EXECUTOR])
    await app[CATALOG].load()
    yield
    await app[CATALOG].close()


async def _submitter(app: web.Application) -> AsyncIterator[None]:
    args = app[ARGS]
    threads = DiskThreads("checking a submission", SUBMISSION_LIMIT_SECONDS)
    app[SUBMITTER] = Submitter(
        app[STORE],
        app[ENGINES],
        app[CATALOG],
        app[QUEUE_LIMITS],
        threads,
        SubmissionPolicy(
            args.default_engine,
            args.effective_timeout,
            app[BOUNDS].places,
            app[ENV_PROFILES],
            len(app[GPUS]),
            app[EXECUTOR_SETTINGS],
            args.default_executor,
            app[SERIES_POLICIES],
        ),
        app[LEASES],
    )
    yield


async def _scheduler(app: web.Application) -> AsyncIterator[None]:
    args = app[ARGS]
    directories = RunDirectories(
        runs_dir_of(args),
        args.temp_dir_prefix,
        output_directories(data_dir_of(args), args.allow_path),
        task_directories(args.task_path),
        run_roots(data_dir_of(args), app[EXECUTOR_SETTINGS]),
    )
    environment = harness_environment(os.environ, args.engine_env)
    has_nvml = all(gpu.name is not None for gpu in app[GPUS])
    context = LaunchContext(
        environment,
        Path.cwd(),
        args.cancel_grace,
        app[ENV_PROFILES],
        has_nvml,
        args.memory_per_job,
        args.warm,
    )
    app[PLANNER] = Planner(app[ENGINES], directories, context, app[LEASES].request_of)
    app[RETENTION] = Retention(
        app[STORE], directories, args.max_completed_jobs, args.max_output_bytes
    )
    policy = Policy(args.max_failed_requests, args.fingerprint == "full")
    executors = app[EXECUTORS]
    concluder = Concluder(
        app[STORE],
        executors,
        app[ENGINES],
        directories,
        app[RETENTION],
        policy,
        gpu_load=app[GPU_LOADS].provenance,
        request_of=app[LEASES].request_of,
    )
    preparation = Preparation(directories, app[PLANNER], policy, leases=app[LEASES])
    attempts = Attempts(
        app[STORE],
        executors,
        app[ENGINES],
        directories,
        app[PLANNER],
        Launcher(app[STORE], executors, directories, preparation, concluder),
        concluder,
        app[PROGRESS],
        app[HEALTH],
        StallWatch(
            app[STORE],
            app[HEALTH],
            StallPolicy(args.stall_after, args.on_stall == "fail"),
            lambda job: app[GPU_MONITOR].idle_s(job.gpus or ()),
        ),
    )
    attempts.subscribe(app[INSTRUMENTS].on_start)
    app[COMMANDS] = JobCommands(app[STORE], attempts, app[RETENTION], app[LEASES])
    app[SCHEDULER] = Scheduler(
        app[STORE],
        attempts,
        app[COMMANDS],
        placement=make_placement(args, app[GPUS], app[GPU_GUARD]),
        clusters=executors.clusters,
    )
    await preload_harnesses(args, app[PLANNER], app[WARM_PARENTS])
    await app[SCHEDULER].load()
    app[GPU_GUARD].subscribe(app[SCHEDULER].on_gpus_changed)
    await app[RETENTION].clean_up()
    app[FORECASTS] = Forecaster(app[STORE], app[SCHEDULER])
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "the scheduler": app[SCHEDULER].run,
        "the sweep of leases": app[LEASE_SWEEP].run,
        "the watch for checkpoints": app[SCHEDULER].watch_checkpoints,
        **{f"handing over to {name}": each.run for name, each in app[SCHEDULER].hand_overs.items()},
    }
    if executors.clusters:
        watch = partial(watch_clusters, executors.clusters, app[HEALTH])
        works["the watch of the clusters"] = watch
    async with supervised(works, app[HEALTH]):
        yield
    await app[SCHEDULER].close()
    attempts.close()


async def _close_streams(app: web.Application) -> None:
    app[BUS].close()
