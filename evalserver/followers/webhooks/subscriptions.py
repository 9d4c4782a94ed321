"""From events to messages: which webhooks hear of an event, each exactly one message of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial

import orjson
import structlog

from evalserver.attempts.retry import retry_until_writable
from evalserver.core.job import Job
from evalserver.core.lifecycle import EventKind
from evalserver.followers.webhooks.bodies import job_body, server_body
from evalserver.followers.webhooks.events import JOB_EVENTS, SERVER_EVENTS
from evalserver.store import (
    Event,
    JobNotFound,
    JobPruned,
    NewMessage,
    ServerEvent,
    Store,
    Webhook,
)

log = structlog.get_logger("evalserver.webhooks")

FOLLOWER = "webhooks"
SERVER_FOLLOWER = "webhooks, of the server's log"

POLL_SECONDS = 5.0
"""How often the server's own log is read: nothing wakes its readers."""

PAGE = 100


class Subscriptions:
    """Turns events into messages. ``notify`` is called when there are new ones."""

    def __init__(self, store: Store, url: str, notify: Callable[[], None]) -> None:
        self._store = store
        self._url = url
        self._notify = notify

    async def handle(self, event: Event) -> None:
        """Keep the messages about an event of the audit log, for a follower."""
        kind = JOB_EVENTS[EventKind(event.event)]
        webhooks = [each for each in await self._enabled() if kind in each.events]
        if not webhooks:
            return
        try:
            job = await self._store.queries.with_pruned(event.job_id)
        except (JobNotFound, JobPruned):
            # It was erased meanwhile: nobody is to hear of it any more.
            log.warning("no webhook is told of an erased job", job=event.job_id, event=kind)
            return
        wanted = [each for each in webhooks if matches(each, job)]
        if not wanted:
            return
        has_metrics = event.event in ("completed", "failed") and event.attempt == job.attempt
        metrics = await self._store.queries.metrics(job.job_id) if has_metrics else []
        text = job_body(kind, event, job, metrics, self._url)
        messages = [
            NewMessage(
                each.webhook_id,
                message_id(each, event),
                event.job_id,
                kind,
                text,
            )
            for each in wanted
        ]
        await self._store.webhooks.enqueue(FOLLOWER, event.event_id, messages)
        self._notify()

    async def follow_server_log(self) -> None:
        """Keep the messages about events of the server itself, until it is cancelled."""
        webhooks = self._store.webhooks
        begin = partial(webhooks.begin_with_server_events, SERVER_FOLLOWER)
        done = await retry_until_writable(begin)
        while True:
            for event in await retry_until_writable(partial(webhooks.server_events, done, PAGE)):
                await retry_until_writable(partial(self._handle_server_event, event))
                done = event.event_id
            await asyncio.sleep(POLL_SECONDS)

    async def _handle_server_event(self, event: ServerEvent) -> None:
        kind = SERVER_EVENTS.get(event.event)
        wanted = [each for each in await self._enabled() if kind in each.events]
        text = ""
        if kind is not None and wanted:
            text = server_body(kind, event.at, event.actor, orjson.loads(event.detail), self._url)
        messages = [
            NewMessage(each.webhook_id, message_id(each, event, "server_"), "", kind, text)
            for each in wanted
            if kind is not None
        ]
        await self._store.webhooks.enqueue(SERVER_FOLLOWER, event.event_id, messages)
        self._notify()

    async def _enabled(self) -> list[Webhook]:
        return [each for each in await self._store.webhooks.all_webhooks() if not each.disabled_at]


def message_id(webhook: Webhook, event: Event | ServerEvent, log_name: str = "") -> str:
    """Return the id of the message to a webhook about an event, always the same.

    It has the time: once an older backup was restored, the same number is that of another event,
    and receivers would take the message for one that they have.
    """
    milliseconds = round(datetime.fromisoformat(event.at).timestamp() * 1000)
    return f"msg_{log_name}{event.event_id}_{milliseconds}_{webhook.webhook_id}"


def matches(webhook: Webhook, job: Job) -> bool:
    """Whether a webhook hears of a job: by its series and labels."""
    if webhook.series is not None and not fnmatchcase(job.series or "", webhook.series):
        return False
    return all(job.labels.get(name) == text for name, text in webhook.labels.items())
