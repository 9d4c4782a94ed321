"""Webhooks as the rest of the server sees them: commands and queries, no SQL."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from evalserver.store import server_events, webhook_messages, webhooks
from evalserver.store.readers import Readers
from evalserver.store.server_events import ServerOperation
from evalserver.store.transaction import Transaction
from evalserver.store.webhook_messages import Message, NewMessage
from evalserver.store.webhooks import Webhook
from evalserver.store.writer import Writer


@dataclass(frozen=True)
class ServerEvent:
    """An event of the server's own log."""

    event_id: int
    at: str
    actor: str
    event: str
    detail: str


class WebhookStore:
    """The part of a store that is about webhooks; every command returns once it is durable.

    Commands raise StoreUnavailable, having changed nothing, when the database cannot be written.
    What an administrator does is recorded in the server's log, without URL and secret.
    """

    def __init__(self, writer: Writer, readers: Readers, now: Callable[[], str]) -> None:
        self._writer = writer
        self._readers = readers
        self._now = now

    async def create(self, webhook: Webhook) -> None:
        """Keep a new webhook. Raises TooManyWebhooks."""

        def work(tx: Transaction) -> None:
            webhooks.create(tx, webhook)
            detail = {"events": list(webhook.events)}
            self._note(
                tx, ServerOperation.WEBHOOK_CREATED, webhook.created_by, webhook.webhook_id, detail
            )

        await self._writer.run(work)

    async def delete(self, webhook_id: str, actor: str) -> None:
        """Remove a webhook with all of its messages. Raises WebhookNotFound."""

        def work(tx: Transaction) -> None:
            webhooks.delete(tx, webhook_id)
            self._note(tx, ServerOperation.WEBHOOK_DELETED, actor, webhook_id, {})

        await self._writer.run(work)

    async def enable(self, webhook_id: str, actor: str) -> None:
        """Tell a disabled webhook of events again, from now on. Raises WebhookNotFound."""

        def work(tx: Transaction) -> None:
            webhooks.enable(tx, webhook_id)
            self._note(tx, ServerOperation.WEBHOOK_ENABLED, actor, webhook_id, {})

        await self._writer.run(work)

    async def disable(self, webhook_id: str, actor: str, reason: str) -> None:
        """Tell a webhook of nothing any more, and park what it was not told."""

        def work(tx: Transaction) -> None:
            webhooks.disable(tx, webhook_id, self._now(), reason)
            detail = {"reason": reason}
            self._note(tx, ServerOperation.WEBHOOK_DISABLED, actor, webhook_id, detail)

        await self._writer.run(work)

    async def rotate(self, webhook_id: str, secret: str, until: str, actor: str) -> None:
        """Sign with a new secret, and until a time with the one before it as well.

        Raises WebhookNotFound.
        """

        def work(tx: Transaction) -> None:
            webhooks.rotate(tx, webhook_id, secret, until)
            self._note(tx, ServerOperation.WEBHOOK_SECRET_ROTATED, actor, webhook_id, {})

        await self._writer.run(work)

    async def resend(self, webhook_id: str, actor: str) -> int:
        """Send everything that is parked again. Returns how many messages that are."""

        def work(tx: Transaction) -> int:
            number = webhook_messages.resend(tx, webhook_id, self._now())
            detail = {"messages": number}
            self._note(tx, ServerOperation.WEBHOOK_RESENT, actor, webhook_id, detail)
            return number

        return await self._writer.run(work)

    async def discard(self, webhook_id: str, actor: str) -> int:
        """Remove everything that is parked. Returns how many messages that were."""

        def work(tx: Transaction) -> int:
            number = webhook_messages.discard(tx, webhook_id)
            detail = {"messages": number}
            self._note(tx, ServerOperation.WEBHOOK_DISCARDED, actor, webhook_id, detail)
            return number

        return await self._writer.run(work)

    async def enqueue(self, follower: str, event_id: int, messages: Sequence[NewMessage]) -> None:
        """Keep the messages of an event, once: a follower's cursor moves past it with them."""
        await self._writer.run(
            lambda tx: webhook_messages.enqueue(tx, follower, event_id, messages, self._now())
        )

    async def delivered(self, message: Message) -> None:
        """Remove a delivered message, and let the next one of its job be sent."""
        await self._writer.run(lambda tx: webhook_messages.delivered(tx, message, self._now()))

    async def failed(self, message: Message, error: str, next_try_at: str) -> None:
        """Record that a delivery failed, and when to try it again."""
        await self._writer.run(
            lambda tx: webhook_messages.failed(tx, message, error, self._now(), next_try_at)
        )

    async def park(self, message: Message, error: str) -> None:
        """Record that a delivery failed for the last time, and park what follows for its job."""
        await self._writer.run(lambda tx: webhook_messages.park(tx, message, error, self._now()))

    async def find(self, webhook_id: str) -> Webhook:
        """The webhook with this id. Raises WebhookNotFound."""
        return await webhooks.find(self._readers, webhook_id)

    async def all_webhooks(self) -> list[Webhook]:
        """Every webhook, the oldest first."""
        return await webhooks.all_webhooks(self._readers)

    async def counted_webhooks(self) -> list[Webhook]:
        """Every webhook, the oldest first, with the counts of its messages."""
        return await webhooks.counted_webhooks(self._readers)

    async def count_messages(self) -> dict[str, int]:
        """How many undelivered messages are ``waiting`` and ``parked``."""
        return await webhook_messages.count_messages(self._readers)

    async def are_parked(self) -> bool:
        """Whether there are parked messages."""
        return await webhook_messages.are_parked(self._readers)

    async def due(self, webhook_id: str, now: str, most: int) -> list[Message]:
        """The first messages that are to be sent now: at most one of each job."""
        return await webhook_messages.due(self._readers, webhook_id, now, most)

    async def next_try(self, webhook_id: str, after: str) -> str | None:
        """When the next message is to be sent that is not due at a time; None: there is none."""
        return await webhook_messages.next_try(self._readers, webhook_id, after)

    async def undelivered(self, webhook_id: str, most: int) -> list[Message]:
        """The oldest messages that are not delivered, parked ones first."""
        return await webhook_messages.undelivered(self._readers, webhook_id, most)

    async def begin_with_server_events(self, follower: str) -> int:
        """The last event of the server's log that a follower has handled; of a new one, the
        newest."""
        return await self._writer.run(lambda tx: server_events.begin_cursor(tx, follower))

    async def server_events(self, after: int, most: int) -> list[ServerEvent]:
        """The first events of the server's log after one."""
        rows = await server_events.read_after(self._readers, after, most)
        return [ServerEvent(**dict(row)) for row in rows]

    def _note(
        self,
        tx: Transaction,
        operation: ServerOperation,
        actor: str,
        webhook_id: str,
        detail: dict[str, Any],
    ) -> None:
        server_events.append(tx, operation, self._now(), actor, {"webhook": webhook_id, **detail})
