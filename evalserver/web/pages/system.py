"""``GET /ui/system``: health, disk, engines and settings of the server."""

import asyncio
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aiohttp import web

from evalserver.harnesses.catalog import HarnessUnavailable
from evalserver.settings.server_args import ServerArgs
from evalserver.store import DATABASE_NAME
from evalserver.web.keys import (
    ARGS,
    BUS,
    CATALOG,
    ENGINES,
    HEALTH,
    ORIGINS,
    SCHEDULER,
    STARTED_AT,
    STORE,
    WARM_PARENTS,
)
from evalserver.web.pages.administration import load_administration
from evalserver.web.pages.rendering import render_page

NEARLY_FULL_FRACTION = 0.9
ENVIRONMENT_SETTING = "engine_env"
"""Its variables may hold secrets, so only their names are shown."""
DATABASE_SUFFIXES = ("", "-wal", "-shm")


@dataclass(frozen=True)
class DiskUsage:
    """Sizes in bytes: the file system of the data directory, and the database."""

    total: int
    used: int
    free: int
    database: int

    @property
    def nearly_full(self) -> bool:
        """Whether the file system is more than 90 % full."""
        return self.used > NEARLY_FULL_FRACTION * self.total


@dataclass(frozen=True)
class EngineStatus:
    """An engine, and the version of its harness or why that is unknown.

    ``is_set_up`` is False for an engine that exists without a table of the settings, and is not the
    default: nobody expects it to work.
    """

    name: str
    python: str
    version: str | None
    error: str | None
    is_set_up: bool


async def get_system_page(request: web.Request) -> web.Response:
    """``GET /ui/system``: version, health, disk, engines and settings."""
    app = request.app
    args, store = app[ARGS], app[STORE]
    engines = await asyncio.gather(*(_engine_status(app, name) for name in app[ENGINES]))
    return render_page(
        request,
        "system.html",
        started_at=app[STARTED_AT],
        degraded_reason=app[HEALTH].degraded_reason,
        holding=app[SCHEDULER].holding,
        draining=app[SCHEDULER].draining,
        admin=await load_administration(request),
        queue_size=len(app[SCHEDULER].queue),
        running=app[SCHEDULER].running,
        counts=await store.queries.count_by_status(),
        events=await store.events.newest_id(),
        streams=len(app[BUS]),
        disk=await asyncio.to_thread(_disk_usage, Path(args.data_dir)),
        engines=engines,
        warm_parents=await app[WARM_PARENTS].status(),
        settings=_settings(args, app),
        default_engine=args.default_engine,
        python=platform.python_version(),
        host=platform.node(),
    )


async def _engine_status(app: web.Application, name: str) -> EngineStatus:
    python, args = app[ENGINES][name].python, app[ARGS]
    is_set_up = name in (args.default_engine, *args.engines)
    try:
        return EngineStatus(name, python, await app[CATALOG].version(name), None, is_set_up)
    except HarnessUnavailable as error:
        return EngineStatus(name, python, None, str(error), is_set_up)


def _disk_usage(data_dir: Path) -> DiskUsage:
    usage = shutil.disk_usage(data_dir)
    files = (data_dir / f"{DATABASE_NAME}{suffix}" for suffix in DATABASE_SUFFIXES)
    size = sum(file.stat().st_size for file in files if file.exists())
    return DiskUsage(usage.total, usage.used, usage.free, size)


def _redact(name: str, value: Any) -> Any:
    """Return a setting's value without secrets."""
    if name == ENVIRONMENT_SETTING:
        value = tuple(each.partition("=")[0] for each in value)
    # Tables of engines may hold secrets, so only their names are shown.
    return (", ".join(value) or None) if isinstance(value, tuple | Mapping) else value


def _settings(args: ServerArgs, app: web.Application) -> list[dict[str, Any]]:
    """Return every setting with its value and where the value comes from."""
    defaults = asdict(ServerArgs())
    return [
        {
            "name": setting.name,
            "value": _redact(setting.name, getattr(args, setting.name)),
            "help": setting.metadata["help"],
            "source": app[ORIGINS].get(setting.name)
            or ("default" if getattr(args, setting.name) == defaults[setting.name] else "program"),
        }
        for setting in fields(args)
    ]
