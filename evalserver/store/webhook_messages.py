"""The messages for webhooks that are not delivered yet.

They are sent in order for each job: one that is *held* waits behind an older one of its job and
webhook. One that cannot be delivered is *parked*, with all that follow it for its job.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evalserver.store.cursors import advance
from evalserver.store.readers import Readers
from evalserver.store.transaction import Transaction

COLUMNS = (
    "number, webhook_id, message_id, job_id, type, body, created_at, tries, first_try_at,"
    " next_try_at, last_error, parked_at"
)

OF_JOB = "webhook_id = :webhook_id AND job_id = :job_id"


@dataclass(frozen=True)
class NewMessage:
    """A message to a webhook about a job, or about the server (``job_id`` is empty)."""

    webhook_id: str
    message_id: str
    job_id: str
    type: str
    body: str


@dataclass(frozen=True)
class Message:
    """A message that is not delivered. Times are ISO 8601 text in UTC."""

    number: int
    webhook_id: str
    message_id: str
    job_id: str
    type: str
    body: str
    created_at: str
    tries: int
    first_try_at: str | None
    next_try_at: str
    last_error: str | None
    parked_at: str | None


def enqueue(
    tx: Transaction, follower: str, event_id: int, messages: Sequence[NewMessage], at: str
) -> None:
    """Keep the messages of an event, once: a follower's cursor moves past it with them."""
    if not advance(tx, follower, event_id):
        return
    for message in messages:
        values = {**vars(message), "at": at}
        tx.execute(
            f"""
            INSERT INTO webhook_messages
                   (webhook_id, message_id, job_id, type, body, created_at, next_try_at, is_held,
                    parked_at)
            SELECT webhook_id, :message_id, :job_id, :type, :body, :at, :at,
                   EXISTS (SELECT 1 FROM webhook_messages WHERE {OF_JOB}),
                   (SELECT :at FROM webhook_messages
                    WHERE {OF_JOB} AND parked_at IS NOT NULL LIMIT 1)
            FROM webhooks WHERE webhook_id = :webhook_id AND disabled_at IS NULL
            """,  # noqa: S608
            values,
        )


def delivered(tx: Transaction, message: Message, at: str) -> None:
    """Remove a delivered message, and let the next one of its job be sent."""
    values = {**vars(message), "at": at}
    tx.execute("DELETE FROM webhook_messages WHERE number = :number", values)
    tx.execute(
        f"UPDATE webhook_messages SET is_held = 0, next_try_at = :at WHERE number ="  # noqa: S608
        f" (SELECT min(number) FROM webhook_messages WHERE {OF_JOB})",
        values,
    )
    tx.execute(
        "UPDATE webhooks SET delivered = delivered + 1, delivered_at = :at, failed_at = NULL,"
        " last_error = NULL WHERE webhook_id = :webhook_id",
        values,
    )


def failed(tx: Transaction, message: Message, error: str, at: str, next_try_at: str) -> None:
    """Record that a delivery failed, and when to try it again."""
    values = {**vars(message), "error": error, "at": at, "next_try_at": next_try_at}
    tx.execute(
        "UPDATE webhook_messages SET tries = tries + 1, next_try_at = :next_try_at,"
        " first_try_at = coalesce(first_try_at, :at), last_error = :error WHERE number = :number",
        values,
    )
    tx.execute(
        "UPDATE webhooks SET failed_at = :at, last_error = :error WHERE webhook_id = :webhook_id",
        values,
    )


def park(tx: Transaction, message: Message, error: str, at: str) -> None:
    """Record that a delivery failed for the last time, and park what follows it for its job."""
    failed(tx, message, error, at, at)
    tx.execute(
        f"UPDATE webhook_messages SET parked_at = :at WHERE {OF_JOB} AND parked_at IS NULL",  # noqa: S608
        {**vars(message), "at": at},
    )


def resend(tx: Transaction, webhook_id: str, at: str) -> int:
    """Send everything that is parked again. Returns how many messages that are."""
    rows = tx.execute(
        "UPDATE webhook_messages"
        " SET parked_at = NULL, tries = 0, first_try_at = NULL, next_try_at = :at"
        " WHERE webhook_id = :webhook_id AND parked_at IS NOT NULL RETURNING number",
        {"webhook_id": webhook_id, "at": at},
    )
    return len(rows)


def discard(tx: Transaction, webhook_id: str) -> int:
    """Remove everything that is parked. Returns how many messages that were."""
    rows = tx.execute(
        "DELETE FROM webhook_messages WHERE webhook_id = :webhook_id AND parked_at IS NOT NULL"
        " RETURNING number",
        {"webhook_id": webhook_id},
    )
    return len(rows)


async def due(readers: Readers, webhook_id: str, now: str, most: int) -> list[Message]:
    """The first messages that are to be sent now: at most one of each job."""
    rows = await readers.fetch(
        f"SELECT {COLUMNS} FROM webhook_messages WHERE webhook_id = :webhook_id"  # noqa: S608
        " AND is_held = 0 AND parked_at IS NULL AND next_try_at <= :now"
        " ORDER BY next_try_at, number LIMIT :most",
        {"webhook_id": webhook_id, "now": now, "most": most},
    )
    return [Message(**dict(row)) for row in rows]


async def next_try(readers: Readers, webhook_id: str, after: str) -> str | None:
    """When the next message is to be sent that is not due at a time; None if there is none."""
    rows = await readers.fetch(
        "SELECT next_try_at FROM webhook_messages WHERE webhook_id = :webhook_id"
        " AND is_held = 0 AND parked_at IS NULL AND next_try_at > :after"
        " ORDER BY next_try_at LIMIT 1",
        {"webhook_id": webhook_id, "after": after},
    )
    return str(rows[0]["next_try_at"]) if rows else None


async def count_messages(readers: Readers) -> dict[str, int]:
    """How many messages are ``waiting`` and ``parked``."""
    rows = await readers.fetch(
        "SELECT (SELECT count(*) FROM webhook_messages) AS undelivered,"
        " (SELECT count(*) FROM webhook_messages WHERE parked_at IS NOT NULL) AS parked"
    )
    undelivered, parked = int(rows[0]["undelivered"]), int(rows[0]["parked"])
    return {"waiting": undelivered - parked, "parked": parked}


async def are_parked(readers: Readers) -> bool:
    """Whether there are parked messages."""
    sql = "SELECT 1 FROM webhook_messages WHERE parked_at IS NOT NULL LIMIT 1"
    return bool(await readers.fetch(sql))


async def undelivered(readers: Readers, webhook_id: str, most: int) -> list[Message]:
    """The oldest messages that are not delivered, parked ones first."""
    found = []
    for which in ("IS NOT NULL", "IS NULL"):
        found += await readers.fetch(
            f"SELECT {COLUMNS} FROM webhook_messages"  # noqa: S608
            f" WHERE webhook_id = :webhook_id AND parked_at {which} ORDER BY number LIMIT :most",
            {"webhook_id": webhook_id, "most": most},
        )
    return [Message(**dict(row)) for row in found[:most]]
