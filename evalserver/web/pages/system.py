"""``GET /ui/system``: how the server is, and what it works with."""

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
)
from evalserver.web.pages.administration import administration
from evalserver.web.pages.rendering import page

NEARLY_FULL = 0.9
HAS_SECRETS = "engine_env"
"""Of these variables only the names are shown."""
DATABASE_FILES = ("", "-wal", "-shm")


@dataclass(frozen=True)
class Room:
    """Bytes of the disk that holds the data directory, and of the database."""

    total: int
    used: int
    free: int
    database: int

    @property
    def nearly_full(self) -> bool:
        """Whether somebody should look after it."""
        return self.used > NEARLY_FULL * self.total


@dataclass(frozen=True)
class Found:
    """An engine, and the version of its harness, or else why that is not known."""

    name: str
    python: str
    version: str | None
    fault: str | None


async def get_system_page(request: web.Request) -> web.Response:
    """``GET /ui/system``: version, health, disk, engines, and the settings in force."""
    app = request.app
    args, store = app[ARGS], app[STORE]
    engines = await asyncio.gather(*(_found(app, name) for name in app[ENGINES]))
    return page(
        request,
        "system.html",
        started_at=app[STARTED_AT],
        fault=app[HEALTH].degraded_reason,
        holding=app[SCHEDULER].holding,
        draining=app[SCHEDULER].draining,
        admin=await administration(request),
        queue_size=len(app[SCHEDULER].queue),
        running=app[SCHEDULER].running_job,
        counts=await store.count_by_status(),
        events=await store.newest_event_id(),
        streams=len(app[BUS]),
        room=await asyncio.to_thread(_room, Path(args.data_dir)),
        engines=engines,
        settings=_settings(args, app),
        default_engine=args.default_engine,
        python=platform.python_version(),
        host=platform.node(),
    )


async def _found(app: web.Application, name: str) -> Found:
    python = app[ENGINES][name].python
    try:
        return Found(name, python, await app[CATALOG].version(name), None)
    except HarnessUnavailable as error:
        return Found(name, python, None, str(error))


def _room(data_dir: Path) -> Room:
    usage = shutil.disk_usage(data_dir)
    files = (data_dir / f"{DATABASE_NAME}{ending}" for ending in DATABASE_FILES)
    size = sum(file.stat().st_size for file in files if file.exists())
    return Room(usage.total, usage.used, usage.free, size)


def _shown(name: str, value: Any) -> Any:
    """A setting as everybody may see it."""
    if name == HAS_SECRETS:
        value = tuple(each.partition("=")[0] for each in value)
    # Of engines the names alone: their tables may hold keys.
    return (", ".join(value) or None) if isinstance(value, tuple | Mapping) else value


def _settings(args: ServerArgs, app: web.Application) -> list[dict[str, Any]]:
    """Every setting, its value, and where that is from."""
    defaults = asdict(ServerArgs())
    return [
        {
            "name": setting.name,
            "value": _shown(setting.name, getattr(args, setting.name)),
            "help": setting.metadata["help"],
            "origin": app[ORIGINS].get(setting.name)
            or ("default" if getattr(args, setting.name) == defaults[setting.name] else "program"),
        }
        for setting in fields(args)
    ]
