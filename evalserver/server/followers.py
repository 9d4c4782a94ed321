"""What follows the logs of the server and runs with it: webhooks, and the watch of the disk."""

from collections.abc import AsyncIterator, Sequence

from aiohttp import web

from evalserver.core.lifecycle import EventKind
from evalserver.core.supervision import supervised
from evalserver.followers.disk_watch import DiskWatch
from evalserver.followers.follower import Follower
from evalserver.followers.series_gates import SeriesGates
from evalserver.followers.webhooks.addresses import AllowedAddresses
from evalserver.followers.webhooks.dispatcher import Dispatcher
from evalserver.followers.webhooks.events import JOB_EVENTS
from evalserver.followers.webhooks.sender import Sender, connections
from evalserver.followers.webhooks.subscriptions import FOLLOWER, Subscriptions
from evalserver.gates.series_gate import SeriesGate
from evalserver.server.access_policy import server_url
from evalserver.server.places import data_dir_of
from evalserver.submission.series_policies import policy_of
from evalserver.web.keys import (
    ARGS,
    ENGINES,
    GATES,
    HEALTH,
    INSTRUMENTS,
    SERIES_POLICIES,
    STORE,
    WEBHOOK_ADDRESSES,
    WEBHOOK_DISPATCHER,
    WEBHOOK_SENDER,
)


def make_followers(app: web.Application) -> Sequence[Follower]:
    """Return the followers of the audit log besides that of webhooks, none of them running."""
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
    """Run what follows the logs while the application runs."""
    args, store, health = app[ARGS], app[STORE], app[HEALTH]
    app[WEBHOOK_ADDRESSES] = allowed = AllowedAddresses(args.webhook_allow_network)
    async with connections(allowed) as session:
        app[WEBHOOK_SENDER] = sender = Sender(session, allowed)
        dispatcher = Dispatcher(store, sender, health, app[INSTRUMENTS].on_webhook_attempt)
        app[WEBHOOK_DISPATCHER] = dispatcher
        url = (args.public_url or server_url(args)).rstrip("/")
        subscriptions = Subscriptions(store, url, dispatcher.notify)
        webhooks = Follower(FOLLOWER, store, JOB_EVENTS, subscriptions.handle)
        works = {
            **{
                f"the follower for {each.name}": each.run
                for each in (webhooks, *make_followers(app))
            },
            "the webhooks of the server's own events": subscriptions.follow_server_log,
            "the delivery of webhooks": dispatcher.run,
            "the watch of the disk": DiskWatch(store, data_dir_of(args), args.disk_low_bytes).run,
        }
        async with supervised(works, health):
            yield
