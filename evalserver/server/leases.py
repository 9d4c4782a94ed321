"""The leases of the server: loaded at the start, before anything is submitted."""

from collections.abc import AsyncIterator

from aiohttp import web

from evalserver.checkpoints.leases.leases import Leases
from evalserver.scheduling.lease_sweep import LeaseSweep
from evalserver.server.places import data_dir_of
from evalserver.web.keys import ARGS, BOUNDS, LEASES, STORE

LEASE_SWEEP = web.AppKey("lease_sweep", LeaseSweep)


async def leases_context(app: web.Application) -> AsyncIterator[None]:
    """Load the leases, and follow the ends of jobs."""
    app[LEASES] = Leases(data_dir_of(app[ARGS]), app[BOUNDS].places)
    await app[LEASES].load()
    app[LEASE_SWEEP] = LeaseSweep(app[STORE], app[LEASES])
    app[STORE].subscribe(app[LEASE_SWEEP].on_event)
    yield
