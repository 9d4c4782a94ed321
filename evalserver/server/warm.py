"""The warm parents of the server: made, preloaded, watched, and ended with it."""

from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from evalserver.attempts.launch import Planner
from evalserver.core.supervision import supervised
from evalserver.engines.env_profiles import ProfileUnavailable
from evalserver.executors import WarmLimits, WarmParents
from evalserver.server.places import data_dir_of
from evalserver.settings.server_args import ServerArgs
from evalserver.web.keys import HEALTH, WARM_PARENTS

log = structlog.get_logger("evalserver.server")

FOLDER = "warm"
"""In the data directory: what warm parents print."""


def make_warm_parents(args: ServerArgs) -> WarmParents:
    """Return the warm parents of a server, none of them started."""
    return WarmParents(data_dir_of(args) / FOLDER, WarmLimits(idle_s=args.warm_idle_s))


async def preload_harnesses(args: ServerArgs, planner: Planner, parents: WarmParents) -> None:
    """Begin to load a parent for each engine that is to have one from the start on: of those that
    the operator has set up."""
    try:
        specs = planner.preloaded({args.default_engine, *args.engines})
    except ProfileUnavailable as error:
        log.warning("no harness is preloaded", why=str(error))
        return
    for spec in specs:
        await parents.find(spec)


async def warm_context(app: web.Application) -> AsyncIterator[None]:
    """Watch the warm parents while the application runs, and end them with it."""
    works = {"the watch of warm parents": app[WARM_PARENTS].watch}
    async with supervised(works, app[HEALTH]):
        yield
    await app[WARM_PARENTS].close()
