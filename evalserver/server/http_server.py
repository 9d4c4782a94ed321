"""Serves the application from start-up to an orderly shutdown."""

import asyncio
import gc
import os
import signal
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import structlog
from aiohttp import web

from evalserver.executors import Executor, can_limit_memory
from evalserver.server.access_policy import (
    bootstrap_admin_token,
    secure_data_dir,
    server_url,
    warn_if_insecure,
)
from evalserver.server.application import EXECUTOR, make_app
from evalserver.server.cannot_start import CannotStart
from evalserver.server.connection_limit import ConnectionLimiter, start_server
from evalserver.server.logging import LoopErrors, configure_log
from evalserver.server.places import data_dir_of
from evalserver.server.systemd import notify
from evalserver.server.tls import CannotUseTls, Tls
from evalserver.settings.server_args import ServerArgs
from evalserver.store import DatabaseRefused, Store, StoreUnavailable
from evalserver.system.attempt_log import log_path
from evalserver.system.data_dir import DataDirTaken, lock_data_dir
from evalserver.system.file_descriptors import TooFewDescriptors, descriptors_needed, raise_limit
from evalserver.system.local_socket import listen_locally
from evalserver.system.permissions import InsecurePermissions
from evalserver.system.sockets import CannotListen, listen
from evalserver.version import __version__
from evalserver.web.http.malformed_requests import protocol_factory
from evalserver.web.keys import (
    ARGS,
    CATALOG,
    SCHEDULER,
    STORE,
)
from evalserver.web.security.authorization import ACCESS, ACCESS_POLICY

log = structlog.get_logger("evalserver")

CANCEL_MARGIN_SECONDS = 10.0
"""Time beyond ``cancel_grace`` for an evaluation that is cancelled at shutdown."""
SHUTDOWN_SECONDS = 1.0
"""Time for open requests to finish at shutdown."""

GC_THRESHOLDS = (20_000, 20, 10)
"""Objects that may be new before a garbage collection, and collections of each generation before
one of the next. With Python's own 700, a batch of jobs costs a quarter more: almost nothing here is
garbage that counting references does not free at once."""

KEEPALIVE_SECONDS = 75.0
"""Time limit of a connection without a complete request head."""


def launch_server(args: ServerArgs, origins: Mapping[str, str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Running evaluations continue without the server.

    ``origins`` holds the source of each setting that was given, for people. Raises CannotStart, and
    changes no job, if the address or the data directory is in use, the database cannot be used, or
    a setting is invalid.
    """
    configure_log()
    asyncio.run(_serve(args, origins or {}))


async def _serve(args: ServerArgs, origins: Mapping[str, str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(LoopErrors())
    # In a thread of another program, signals belong to that program.
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    try:
        connections = _limit_connections(args.max_connections)
        tls = Tls(args.tls_cert, args.tls_key) if args.tls_cert or args.tls_key else None
        if tls is not None and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, tls.reload)
        with lock_data_dir(data_dir_of(args), server_url(args)) as is_locked:
            if not is_locked:
                log.warning(
                    "the file system of the data directory cannot lock a directory: server.lock"
                    " alone keeps a second server out; never remove it while a server runs",
                    data_dir=args.data_dir,
                )
            secure_data_dir(data_dir_of(args), args)
            runner = web.AppRunner(
                make_app(args, origins),
                access_log=None,
                shutdown_timeout=SHUTDOWN_SECONDS,
                # Compressed bodies are rejected, so none is decompressed.
                auto_decompress=False,
                # Also what a client gets for the head of a request, however it drips.
                keepalive_timeout=KEEPALIVE_SECONDS,
            )
            sites = [
                *(
                    (each, None if tls is None else tls.context)
                    for each in listen(args.host, args.port)
                ),
                (listen_locally(data_dir_of(args)), None),
            ]
            await _run(runner, sites, args, stop, connections)
    except (
        CannotListen,
        CannotUseTls,
        DataDirTaken,
        DatabaseRefused,
        InsecurePermissions,
        TooFewDescriptors,
    ) as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(f"{error.filename or args.data_dir}: {error.strerror}") from error


async def _run(
    runner: web.AppRunner,
    sites: list[tuple[socket.socket, ssl.SSLContext | None]],
    args: ServerArgs,
    stop: asyncio.Event,
    connections: int,
) -> None:
    servers: list[asyncio.Server] = []
    try:
        await runner.setup()
        # These objects live as long as the process: without freezing them, a garbage collection
        # would block the loop for tens of milliseconds.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await bootstrap_admin_token(runner.app[ACCESS], args)
        # Not None after setup.
        server = cast(web.Server, runner.server)
        make_protocol, is_trusted = (
            protocol_factory(server),
            runner.app[ACCESS_POLICY].proxies.trusts,
        )
        limiter = ConnectionLimiter(server, make_protocol, connections, is_trusted)
        for listening, context in sites:
            servers.append(await start_server(limiter, listening, context))
        log.info(
            "evalserver is ready", version=__version__, url=server_url(args), data_dir=args.data_dir
        )
        warn_if_insecure(args)
        await _warn_if_memory_is_unlimited(args)
        # So that unknown names are rejected from the first submission on.
        runner.app[CATALOG].warm({args.default_engine, *args.engines})
        notify("READY=1", os.environ)
        await stop.wait()
        notify("STOPPING=1", os.environ)
        if args.on_shutdown == "cancel":
            await _cancel_running(runner.app)
        await log_detached_jobs(runner.app[STORE], runner.app[EXECUTOR])
    finally:
        for each in servers:
            each.close()
        await runner.cleanup()
        for listening, _ in sites:
            listening.close()


async def _warn_if_memory_is_unlimited(args: ServerArgs) -> None:
    if args.memory_per_job is not None and not await asyncio.to_thread(can_limit_memory):
        log.warning(
            "memory_per_job has no effect: this process cannot create cgroups that limit memory;"
            " see 'Memory of evaluations' in docs/operating.md",
            memory_per_job=args.memory_per_job,
        )


def _limit_connections(wanted: int) -> int:
    """Return the maximum number of connections: the setting, or less if the system allows less."""
    limit = raise_limit(wanted)
    if limit.connections < wanted:
        log.warning(
            "fewer connections than max_connections: the limit of open files is too low",
            max_connections=wanted,
            connections=limit.connections,
            open_files=limit.soft,
            needed=descriptors_needed(wanted),
        )
    return min(wanted, limit.connections)


async def _cancel_running(app: web.Application) -> None:
    patience = app[ARGS].cancel_grace + CANCEL_MARGIN_SECONDS
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await app[SCHEDULER].end_running()


async def log_detached_jobs(store: Store, executor: Executor) -> None:
    with suppress(StoreUnavailable):
        for job in await store.queries.running():
            run_dir = Path(job.run_dir or "")
            log.warning(
                "stopping; this evaluation continues, and is reattached at the next start",
                job=job.job_id,
                runner_pid=(await executor.describe(run_dir)).runner_pid,
                log=str(log_path(run_dir)),
            )
