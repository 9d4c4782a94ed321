"""The followers of the audit log that run with the server, each in a task of its own."""

from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from evalserver.core.supervision import supervised
from evalserver.followers.follower import Follower
from evalserver.web.keys import HEALTH


def make_followers(app: web.Application) -> Sequence[Follower]:
    """Return the followers of the server, none of them running."""
    return ()


async def followers_context(app: web.Application) -> AsyncIterator[None]:
    """Run the followers while the application runs."""
    works = {f"the follower for {each.name}": each.run for each in make_followers(app)}
    if not works:
        yield
        return
    async with supervised(works, app[HEALTH]):
        yield
