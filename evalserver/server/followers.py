"""The followers of the audit log that run with the server, each in a task of its own."""

from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from evalserver.core.lifecycle import EventKind
from evalserver.core.supervision import supervised
from evalserver.followers.follower import Follower
from evalserver.followers.series_gates import SeriesGates
from evalserver.gates.series_gate import SeriesGate
from evalserver.submission.series_policies import policy_of
from evalserver.web.keys import ENGINES, GATES, HEALTH, SERIES_POLICIES, STORE


def make_followers(app: web.Application) -> Sequence[Follower]:
    """Return the followers of the server, none of them running."""
    return (Follower("gates", app[STORE], (EventKind.COMPLETED,), _series_gates(app)),)


def _series_gates(app: web.Application) -> SeriesGates:
    policies, gates = app[SERIES_POLICIES], app[GATES]

    def gate_of(series: str | None) -> SeriesGate | None:
        policy = policy_of(series, policies)
        if policy is None or policy.gate is None:
            return None
        return SeriesGate(policy.gate, gates[policy.gate], policy.baseline)

    return SeriesGates(app[STORE], app[ENGINES], gate_of)


async def followers_context(app: web.Application) -> AsyncIterator[None]:
    """Run the followers while the application runs."""
    works = {f"the follower for {each.name}": each.run for each in make_followers(app)}
    if not works:
        yield
        return
    async with supervised(works, app[HEALTH]):
        yield
