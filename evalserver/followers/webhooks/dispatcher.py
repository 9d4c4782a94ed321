"""Sends the messages that wait: for each webhook in a task of its own, a few at a time.

Messages about one job are sent in order. One that fails is tried again after growing pauses, for
three days and ten attempts at least; then it is parked, with those that follow it for the same job.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from yarl import URL

from evalserver.attempts.retry import retry_until_writable
from evalserver.core.clock import Clock, timestamp, utc_now
from evalserver.core.health import Health
from evalserver.core.lifecycle import SERVER
from evalserver.core.supervision import supervise
from evalserver.followers.webhooks.sender import Attempt, Sender
from evalserver.store import Message, Store, Webhook, WebhookNotFound

log = structlog.get_logger("evalserver.webhooks")

MAX_CONNECTIONS = 4
"""To one receiver: a host and port, whatever the number of its webhooks."""

POLL_SECONDS = 60.0
"""How long a sender sleeps at most: a clock may be set."""

FAULT = "webhooks"


@dataclass(frozen=True)
class Pauses:
    """The seconds between two attempts, and until a message is parked."""

    first_s: float = 5.0
    longest_s: float = 4 * 3600.0
    give_up_s: float = 3 * 86400.0
    min_tries: int = 10

    def after(self, failures: int, retry_after_s: float | None = None) -> float:
        """The pause after this many failures of a message, or a longer one that the receiver
        wants, up to the longest."""
        pause = self.first_s * 2.0 ** min(failures - 1, 30)
        return min(max(pause, retry_after_s or 0.0), self.longest_s)

    def are_over(self, failures: int, since_first_s: float) -> bool:
        """Whether to park a message that failed so often, for the first time so long ago."""
        # The time alone does not say that it was tried: the server may have been stopped
        # meanwhile, or its clock set.
        return failures >= self.min_tries and since_first_s >= self.give_up_s


class OnAttempt(Protocol):
    """Is called after each attempt to deliver a message."""

    def __call__(self, *, is_delivered: bool) -> None:
        """Note how it ended."""


def _count_nothing(*, is_delivered: bool) -> None:
    """Note nothing."""


class Dispatcher:
    """Delivers the messages of all webhooks."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        health: Health,
        on_attempt: OnAttempt = _count_nothing,
        pauses: Pauses | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._sender = sender
        self._health = health
        self._on_attempt = on_attempt
        self._pauses = pauses or Pauses()
        self._clock = clock
        self._changed = asyncio.Event()
        self._news: dict[str, asyncio.Event] = {}
        self._receivers: defaultdict[str, asyncio.Semaphore] = defaultdict(
            partial(asyncio.Semaphore, MAX_CONNECTIONS)
        )

    def notify(self) -> None:
        """There are new messages."""
        for each in self._news.values():
            each.set()

    def reload(self) -> None:
        """Webhooks were created, deleted, changed, disabled or enabled."""
        self._changed.set()
        self.notify()

    async def run(self) -> None:
        """Deliver until it is cancelled."""
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                webhooks = await retry_until_writable(self._report)
                enabled = {each.webhook_id for each in webhooks if not each.disabled_at}
                for gone in [each for each in tasks if each not in enabled]:
                    tasks[gone].cancel()
                    await asyncio.wait([tasks.pop(gone)])
                    del self._news[gone]
                for new in enabled - set(tasks):
                    self._news[new] = asyncio.Event()
                    name = f"webhook {new}"
                    work = partial(self._deliver_all, new, self._news[new])
                    tasks[new] = asyncio.create_task(supervise(name, work, self._health), name=name)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._changed.wait()
        finally:
            for task in tasks.values():
                task.cancel()
            if tasks:
                await asyncio.wait(tasks.values())
            self._news.clear()
            self._health.clear(FAULT)

    async def _deliver_all(self, webhook_id: str, news: asyncio.Event) -> None:
        """Deliver the messages of one webhook."""
        sending: dict[int, asyncio.Task[None]] = {}
        try:
            while True:
                news.clear()
                now = self._clock()
                room = MAX_CONNECTIONS - len(sending)
                if room:
                    most = MAX_CONNECTIONS + len(sending)
                    due = partial(self._store.webhooks.due, webhook_id, timestamp(now), most)
                    found = await retry_until_writable(due)
                    for message in [each for each in found if each.number not in sending][:room]:
                        sending[message.number] = asyncio.create_task(self._deliver(message))
                await self._wait(webhook_id, news, sending, now)
                for number in [number for number, task in sending.items() if task.done()]:
                    sending.pop(number).result()
        except WebhookNotFound:
            return  # it was deleted
        finally:
            for task in sending.values():
                task.cancel()
            if sending:
                await asyncio.wait(sending.values())

    async def _wait(
        self,
        webhook_id: str,
        news: asyncio.Event,
        sending: dict[int, asyncio.Task[None]],
        now: datetime,
    ) -> None:
        """Wait until a delivery has ended, there are new messages, or one is to be tried again."""
        next_try = await retry_until_writable(
            partial(self._store.webhooks.next_try, webhook_id, timestamp(now))
        )
        seconds = POLL_SECONDS
        if next_try is not None:
            seconds = (datetime.fromisoformat(next_try) - self._clock()).total_seconds()
        arrival = asyncio.create_task(news.wait())
        try:
            await asyncio.wait(
                [arrival, *sending.values()],
                timeout=min(max(seconds, 0.0), POLL_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            arrival.cancel()

    async def _deliver(self, message: Message) -> None:
        find = partial(self._store.webhooks.find, message.webhook_id)
        webhook = await retry_until_writable(find)
        url = URL(webhook.url)
        async with self._receivers[f"{url.host}:{url.port}"]:
            attempt = await self._sender.send(webhook, message.message_id, message.body)
        self._on_attempt(is_delivered=attempt.error is None)
        if attempt.error is None:
            # Until this is kept, the message counts as not sent.
            await retry_until_writable(partial(self._store.webhooks.delivered, message))
            return
        log.warning(
            "a webhook was not delivered",
            webhook=webhook.webhook_id,
            message=message.message_id,
            tries=message.tries + 1,
            why=attempt.error,
        )
        keep = self._disable if attempt.is_gone else self._try_again
        await retry_until_writable(partial(keep, message, attempt))

    async def _disable(self, message: Message, attempt: Attempt) -> None:
        error = str(attempt.error)
        await self._store.webhooks.failed(message, error, message.next_try_at)
        await self._store.webhooks.disable(message.webhook_id, SERVER, error)
        self.reload()

    async def _try_again(self, message: Message, attempt: Attempt) -> None:
        now, error = self._clock(), str(attempt.error)
        first = (
            now if message.first_try_at is None else datetime.fromisoformat(message.first_try_at)
        )
        if self._pauses.are_over(message.tries + 1, (now - first).total_seconds()):
            await self._store.webhooks.park(message, error)
            self.reload()
            return
        pause = self._pauses.after(message.tries + 1, attempt.retry_after_s)
        next_try = timestamp(now + timedelta(seconds=pause))
        await self._store.webhooks.failed(message, error, next_try)

    async def _report(self) -> list[Webhook]:
        """Return all webhooks, and report in the server's health what ails them."""
        webhooks = await self._store.webhooks.all_webhooks()
        disabled = sum(each.disabled_at is not None for each in webhooks)
        are_parked = await self._store.webhooks.are_parked()
        faults = [
            *(["messages are parked"] if are_parked else []),
            *([f"{disabled} of {len(webhooks)} are disabled"] if disabled else []),
        ]
        if faults:
            reason = f"webhooks: {', '.join(faults)}; 'evalserver webhook list' shows them"
            self._health.report(FAULT, reason)
        else:
            self._health.clear(FAULT)
        return webhooks
