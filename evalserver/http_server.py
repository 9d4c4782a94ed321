"""The server: puts its parts together, serves until it is told to stop, takes them down again."""

import asyncio
import gc
import os
import signal
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import cast

import structlog
from aiohttp import web

from evalserver.access import Access
from evalserver.attempts import Attempts, Policy
from evalserver.catalog import Catalog
from evalserver.clock import timestamp, utc_now
from evalserver.data_dir import DataDirTaken, owned
from evalserver.doorman import Doorman, open_door
from evalserver.engines import Engine, find_program, make_engines, merge
from evalserver.engines.environment import harness_environment
from evalserver.entrance import (
    address,
    hand_out_first_token,
    keep_private,
    make_gate,
    tell_the_risk,
)
from evalserver.event_bus import EventBus
from evalserver.executors import LocalExecutor, runner_pid
from evalserver.forecast import Forecaster
from evalserver.instruments import Instruments
from evalserver.local_socket import listen_locally
from evalserver.names import did_you_mean
from evalserver.planning import Planner, Surroundings
from evalserver.private_files import ReadableByAll
from evalserver.progress import ProgressBoard
from evalserver.pruner import Pruner
from evalserver.roots import output_roots, task_roots
from evalserver.run_directories import RunDirectories
from evalserver.runner.files import LOG_FILE
from evalserver.scheduler import Scheduler
from evalserver.server_args import ServerArgs
from evalserver.server_log import configure_log
from evalserver.sockets import CannotListen, listen
from evalserver.store import DatabaseRefused, Store, StoreUnavailable
from evalserver.systemd import notify
from evalserver.tls import CannotUseTls, Tls
from evalserver.version import __version__
from evalserver.web.admission import check_defaults
from evalserver.web.dispatch import add_routes
from evalserver.web.errors import errors_as_problems
from evalserver.web.event_stream import StreamLimits
from evalserver.web.gate import ACCESS, GATE, add_gate
from evalserver.web.keys import (
    ARGS,
    BACKING_UP,
    BOUNDS,
    BUS,
    CATALOG,
    COMPARING,
    ENGINES,
    FORECASTS,
    INSTRUMENTS,
    KEYS_IN_FLIGHT,
    ORIGINS,
    PLANNER,
    PROGRESS,
    PRUNER,
    QUEUE_LIMITS,
    SCHEDULER,
    STARTED_AT,
    STORE,
    STREAM_LIMITS,
    TEMPLATES,
)
from evalserver.web.keys_in_flight import KeysInFlight
from evalserver.web.malformed import speaker_of
from evalserver.web.metrics import measure_answers
from evalserver.web.pages.rendering import make_templates
from evalserver.web.queue_limits import QueueLimits
from evalserver.web.schemas import Bounds

log = structlog.get_logger("evalserver")

LEFTOVERS_SECONDS = 10.0
"""What an evaluation that is stopped at the end gets beyond its grace."""
SHUTDOWN_SECONDS = 1.0
"""What requests that are being answered get to end, when the server stops."""

KEEPALIVE_SECONDS = 75.0
"""What a connection may be without a request, or with the beginning of one."""

WORKER: web.AppKey[asyncio.Task[None]] = web.AppKey("worker")


class CannotStart(Exception):
    """The server cannot start; says why, and what to do."""


def launch_server(args: ServerArgs, origins: Mapping[str, str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. An evaluation that runs then goes on by itself.

    ``origins`` tells people where a setting comes from, of those that somebody gave.
    Raises CannotStart, having changed no job, when the address or the data directory is taken,
    the database is refused, or a setting names what is not there.
    """
    configure_log()
    asyncio.run(_serve(args, origins or {}))


def make_app(
    args: ServerArgs, origins: Mapping[str, str] = MappingProxyType({})
) -> web.Application:
    """The application for these settings; what it holds lives as long as it does.

    The data directory must exist, and be owned by the caller. Raises CannotStart when the
    interpreter, the default engine or the directory of task definitions is not there.
    """
    app = web.Application(middlewares=[errors_as_problems], client_max_size=args.max_body_bytes)
    app[INSTRUMENTS] = Instruments()
    measure_answers(app)
    add_gate(app, make_gate(args))
    app[ARGS] = args
    app[ORIGINS] = origins
    app[STARTED_AT] = timestamp(utc_now())
    app[TEMPLATES] = make_templates()
    app[ENGINES] = engines = _engines(args)
    app[BOUNDS] = Bounds(
        tuple(engines), args.max_timeout, _data_dir(args), args.allow_path, args.task_path
    )
    app[BUS] = EventBus()
    app[PROGRESS] = ProgressBoard(app[BUS])
    app[KEYS_IN_FLIGHT] = KeysInFlight()
    app[COMPARING] = asyncio.Semaphore(1)
    app[BACKING_UP] = asyncio.Lock()
    app[STREAM_LIMITS] = StreamLimits()
    app[QUEUE_LIMITS] = QueueLimits(args.max_queued_jobs, args.max_queued_per_token)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.extend([_store, _access, _catalog, _scheduler])
    add_routes(app)
    return app


async def _serve(args: ServerArgs, origins: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    # In a thread of another program signals are that program's own.
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        tls = Tls(args.tls_cert, args.tls_key) if args.tls_cert or args.tls_key else None
        if tls is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, tls.reload)
        with owned(_data_dir(args), address(args)):
            keep_private(_data_dir(args), args)
            runner = web.AppRunner(
                make_app(args, origins),
                access_log=None,
                shutdown_timeout=SHUTDOWN_SECONDS,
                # A compressed body is refused, and so need not be unpacked.
                auto_decompress=False,
                # Also what a client gets for the head of a request, however it drips.
                keepalive_timeout=KEEPALIVE_SECONDS,
            )
            sites = [
                *(
                    (each, None if tls is None else tls.context)
                    for each in listen(args.host, args.port)
                ),
                (listen_locally(_data_dir(args)), None),
            ]
            await _run(runner, sites, args, stop)
    except (
        CannotListen,
        CannotUseTls,
        DataDirTaken,
        DatabaseRefused,
        ReadableByAll,
    ) as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(f"{error.filename or args.data_dir}: {error.strerror}") from error


async def _run(
    runner: web.AppRunner,
    sites: list[tuple[socket.socket, ssl.SSLContext | None]],
    args: ServerArgs,
    stop: asyncio.Event,
) -> None:
    doors: list[asyncio.Server] = []
    try:
        await runner.setup()
        # Whatever is there by now stays: looking through it for garbage, while a large answer is
        # made, would stop everybody for tens of milliseconds.
        gc.freeze()
        await hand_out_first_token(runner.app[ACCESS], args)
        # It is there once the runner is set up.
        server = cast(web.Server, runner.server)
        speak, trust = speaker_of(server), runner.app[GATE].proxies.trust
        doorman = Doorman(server, speak, args.max_connections, trust)
        for listening, context in sites:
            doors.append(await open_door(doorman, listening, context))
        log.info(
            "evalserver is ready", version=__version__, url=address(args), data_dir=args.data_dir
        )
        tell_the_risk(args)
        # So that names that nobody knows are refused from the first submissions on.
        runner.app[CATALOG].warm({args.default_engine, *args.engines})
        notify("READY=1", os.environ)
        await _until_stopped(runner.app, stop)
        notify("STOPPING=1", os.environ)
        if args.on_shutdown == "cancel":
            await _end_running(runner.app)
        await _take_leave(runner.app[STORE])
    finally:
        for door in doors:
            door.close()
        await runner.cleanup()
        for listening, _ in sites:
            listening.close()


async def _until_stopped(app: web.Application, stop: asyncio.Event) -> None:
    """Return when the server is told to stop; raise what the scheduler died of, if it did."""
    worker = app[WORKER]
    told = asyncio.create_task(stop.wait(), name="wait for a signal")
    await asyncio.wait([told, worker], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if worker.done():
        worker.result()


async def _end_running(app: web.Application) -> None:
    patience = app[ARGS].cancel_grace + LEFTOVERS_SECONDS
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await app[SCHEDULER].end_running()


async def _take_leave(store: Store) -> None:
    with suppress(StoreUnavailable):
        for job in await store.running():
            run_dir = Path(job.run_dir or "")
            log.warning(
                "stopping; this evaluation goes on, and is found again at the next start",
                job=job.job_id,
                runner_pid=runner_pid(run_dir),
                log=str(run_dir / LOG_FILE),
            )


async def _store(app: web.Application) -> AsyncIterator[None]:
    app[STORE] = await Store.open(_data_dir(app[ARGS]))
    app[STORE].subscribe(app[PROGRESS].on_event)
    app[STORE].subscribe(app[BUS].on_event)
    app[STORE].subscribe(app[INSTRUMENTS].on_event)
    app[QUEUE_LIMITS].begin_with(await app[STORE].queued_by_submitter())
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
    app[CATALOG] = Catalog(app[STORE], app[ENGINES], environment)
    await app[CATALOG].load()
    yield
    await app[CATALOG].close()


async def _scheduler(app: web.Application) -> AsyncIterator[None]:
    args = app[ARGS]
    directories = RunDirectories(
        _data_dir(args) / "runs",
        args.temp_dir_prefix,
        output_roots(_data_dir(args), args.allow_path),
        task_roots(args.task_path),
    )
    environment = harness_environment(os.environ, args.engine_env)
    surroundings = Surroundings(environment, Path.cwd(), args.cancel_grace)
    app[PLANNER] = Planner(app[ENGINES], directories, surroundings)
    attempts = Attempts(
        app[STORE],
        LocalExecutor(),
        app[ENGINES],
        directories,
        app[PLANNER],
        Policy(args.max_completed_jobs, args.max_failed_requests, args.fingerprint == "full"),
        app[PROGRESS],
    )
    attempts.subscribe(app[INSTRUMENTS].on_start)
    app[PRUNER] = Pruner(app[STORE], attempts)
    app[SCHEDULER] = Scheduler(app[STORE], attempts, args.max_completed_jobs)
    await app[SCHEDULER].load()
    app[FORECASTS] = Forecaster(app[STORE], app[SCHEDULER])
    app[WORKER] = asyncio.create_task(app[SCHEDULER].run(), name="scheduler")
    yield
    app[WORKER].cancel()
    with suppress(asyncio.CancelledError, Exception):
        await app[WORKER]
    attempts.close()


async def _end_streams(app: web.Application) -> None:
    app[BUS].close()


def _data_dir(args: ServerArgs) -> Path:
    return Path(args.data_dir).absolute()


def _engines(args: ServerArgs) -> Mapping[str, Engine]:
    if args.include_path is not None and not Path(args.include_path).is_dir():
        raise CannotStart(f"include_path: {args.include_path} is not a directory")
    try:
        python = find_program(args.engine_python, "engine_python")
        engines = make_engines(python, args.include_path, args.engines)
        for engine in engines.values():
            check_defaults(engine)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    evaluating = [name for name in engines if name != merge.NAME]
    if args.default_engine not in evaluating:
        raise CannotStart(
            f"default_engine: there is no engine {args.default_engine!r}."
            f"{did_you_mean(args.default_engine, evaluating)} "
            f"Known engines: {', '.join(evaluating)}"
        )
    return engines
