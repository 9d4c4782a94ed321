"""While the database cannot be written, webhooks wait: no message is lost, and none sent again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from evalserver.core.clock import timestamp, utc_now
from evalserver.core.health import Health
from evalserver.followers.webhooks.addresses import AllowedAddresses
from evalserver.followers.webhooks.dispatcher import Dispatcher
from evalserver.followers.webhooks.events import EVENT_TYPES
from evalserver.followers.webhooks.sender import Attempt, Sender
from evalserver.followers.webhooks.signing import make_secret
from evalserver.followers.webhooks.subscriptions import message_id
from evalserver.store import DATABASE_NAME, NewMessage, ServerEvent, Store, Webhook
from tests.auditors_story import at
from tests.small_disk import no_room_beyond
from tests.support import until

WEBHOOK = Webhook(
    "4f0d1f0e-8c5c-4d57-9f0e-2f6e0a4a9c11",
    "https://example.com",
    EVENT_TYPES,
    None,
    {},
    make_secret(),
    timestamp(utc_now()),
    "operator",
)


class FillsDisk(Sender):
    """A receiver that answers so, and when it has, the disk of the database is full."""

    def __init__(self, session: aiohttp.ClientSession, file: Path, answer: Attempt) -> None:
        super().__init__(session, AllowedAddresses())
        self.full = ExitStack()
        self.sent: list[str] = []
        self._file = file
        self._answer = answer

    async def send(self, webhook: Webhook, message_id: str, body: str) -> Attempt:
        self.sent.append(message_id)
        self.full.enter_context(no_room_beyond(self._file))
        return self._answer


@asynccontextmanager
async def delivering(store: Store, sender: Sender) -> AsyncIterator[None]:
    """Deliver within the block."""
    task = asyncio.create_task(Dispatcher(store, sender, Health()).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (Attempt(), (0, None)),
        (Attempt("status 500", 500), (1, None)),
        (Attempt("status 410", 410), (1, "status 410")),
    ],
    ids=["delivered", "failed", "gone"],
)
async def test_an_answer_during_a_full_disk_is_recorded_later(
    store: Store, tmp_path: Path, answer: Attempt, left: tuple[int, str | None]
) -> None:
    await store.webhooks.create(WEBHOOK)
    await store.cursors.begin("webhooks", ())
    message = NewMessage(WEBHOOK.webhook_id, "msg_1", "", "server.drained", "{}")
    await store.webhooks.enqueue("webhooks", 1, [message])

    async def cannot_write() -> bool:
        return store.fault is not None

    async def is_recorded() -> bool:
        (found,) = await store.webhooks.counted_webhooks()
        has_ended = found.delivered_at is not None or found.failed_at is not None
        return has_ended and (found.undelivered, found.disabled_reason) == left

    async with aiohttp.ClientSession() as session:
        sender = FillsDisk(session, tmp_path / f"{DATABASE_NAME}-wal", answer)
        with sender.full, capture_logs() as logged:
            async with delivering(store, sender):
                await until(cannot_write)
                sender.full.close()
                await until(is_recorded)

    assert sender.sent == ["msg_1"]
    assert not [each for each in logged if "failed; restarting" in each["event"]]


def test_an_event_with_the_number_of_another_has_a_message_id_of_its_own() -> None:
    """So it is after an older backup was restored: receivers must not take it for the other."""
    before, after = (
        message_id(WEBHOOK, ServerEvent(7, at(second), "operator", "drained", "{}"))
        for second in (1, 2)
    )

    assert before != after
