"""Webhooks: whom to tell of which events. Their secrets are readable, since messages are signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from evalserver.store.errors import TooManyWebhooks, WebhookNotFound
from evalserver.store.json_text import json_text
from evalserver.store.readers import Readers
from evalserver.store.transaction import Row, Transaction

MAX_WEBHOOKS = 50
"""Each may have a few connections open at a time."""

COUNTS = """
    (SELECT count(*) FROM webhook_messages AS message
     WHERE message.webhook_id = webhooks.webhook_id) AS undelivered,
    (SELECT count(*) FROM webhook_messages AS message
     WHERE message.webhook_id = webhooks.webhook_id AND parked_at IS NOT NULL) AS parked
"""


@dataclass(frozen=True)
class Webhook:
    """A webhook's record. Times are ISO 8601 text in UTC."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    series: str | None
    """A pattern; None for the jobs of any series, and of none."""
    labels: Mapping[str, str]
    """The labels that a job must have."""
    secret: str
    created_at: str
    created_by: str
    old_secret: str | None = None
    old_secret_until: str | None = None
    disabled_at: str | None = None
    disabled_reason: str | None = None
    delivered: int = 0
    """How many messages were delivered."""
    delivered_at: str | None = None
    failed_at: str | None = None
    """When a delivery failed last; None if one succeeded since then."""
    last_error: str | None = None
    undelivered: int = 0
    """How many messages are kept because they are not delivered, with those that are parked."""
    parked: int = 0

    def __repr__(self) -> str:
        return f"Webhook({self.webhook_id!r})"  # a log must not contain the secret


def create(tx: Transaction, webhook: Webhook) -> None:
    """Keep a new webhook. Raises TooManyWebhooks."""
    rows = tx.execute("SELECT count(*) AS number FROM webhooks")
    if rows[0]["number"] >= MAX_WEBHOOKS:
        raise TooManyWebhooks(
            f"There are {MAX_WEBHOOKS} webhooks, the most that are allowed; delete one first"
        )
    tx.execute(
        """
        INSERT INTO webhooks
               (webhook_id, url, events, series, labels, secret, created_at, created_by)
        VALUES (:webhook_id, :url, :events, :series, :labels, :secret, :created_at, :created_by)
        """,
        {
            "webhook_id": webhook.webhook_id,
            "url": webhook.url,
            "events": json_text(list(webhook.events)),
            "series": webhook.series,
            "labels": json_text(dict(webhook.labels)),
            "secret": webhook.secret,
            "created_at": webhook.created_at,
            "created_by": webhook.created_by,
        },
    )


def delete(tx: Transaction, webhook_id: str) -> None:
    """Remove a webhook with all of its messages. Raises WebhookNotFound."""
    _require(
        tx.execute(
            "DELETE FROM webhooks WHERE webhook_id = :webhook_id RETURNING webhook_id",
            {"webhook_id": webhook_id},
        ),
        webhook_id,
    )


def enable(tx: Transaction, webhook_id: str) -> None:
    """Tell a disabled webhook of events again, from now on. Raises WebhookNotFound."""
    _require(
        tx.execute(
            "UPDATE webhooks SET disabled_at = NULL, disabled_reason = NULL"
            " WHERE webhook_id = :webhook_id RETURNING webhook_id",
            {"webhook_id": webhook_id},
        ),
        webhook_id,
    )


def disable(tx: Transaction, webhook_id: str, at: str, reason: str) -> None:
    """Tell a webhook of nothing any more, and park what it was not told."""
    values = {"webhook_id": webhook_id, "at": at, "reason": reason}
    tx.execute(
        "UPDATE webhooks SET disabled_at = :at, disabled_reason = :reason"
        " WHERE webhook_id = :webhook_id AND disabled_at IS NULL",
        values,
    )
    tx.execute(
        "UPDATE webhook_messages SET parked_at = :at"
        " WHERE webhook_id = :webhook_id AND parked_at IS NULL",
        values,
    )


def rotate(tx: Transaction, webhook_id: str, secret: str, until: str) -> None:
    """Sign with a new secret, and until a time with the one before it as well.

    Raises WebhookNotFound.
    """
    _require(
        tx.execute(
            "UPDATE webhooks"
            " SET old_secret = secret, old_secret_until = :until, secret = :secret"
            " WHERE webhook_id = :webhook_id RETURNING webhook_id",
            {"webhook_id": webhook_id, "secret": secret, "until": until},
        ),
        webhook_id,
    )


async def find(readers: Readers, webhook_id: str) -> Webhook:
    """The webhook with this id. Raises WebhookNotFound."""
    rows = await readers.fetch(
        f"SELECT *, {COUNTS} FROM webhooks WHERE webhook_id = :webhook_id",  # noqa: S608
        {"webhook_id": webhook_id},
    )
    _require(rows, webhook_id)
    return _webhook_of(rows[0])


async def all_webhooks(readers: Readers) -> list[Webhook]:
    """Every webhook, the oldest first, without counts of messages."""
    rows = await readers.fetch("SELECT * FROM webhooks ORDER BY created_at")
    return [_webhook_of(row) for row in rows]


async def counted_webhooks(readers: Readers) -> list[Webhook]:
    """Every webhook, the oldest first, with the counts of its messages."""
    rows = await readers.fetch(f"SELECT *, {COUNTS} FROM webhooks ORDER BY created_at")  # noqa: S608
    return [_webhook_of(row) for row in rows]


def _require(rows: list[Row], webhook_id: str) -> None:
    if not rows:
        raise WebhookNotFound(
            f"There is no webhook {webhook_id!r}; 'evalserver webhook list' shows all"
        )


def _webhook_of(row: Mapping[str, Any]) -> Webhook:
    values = dict(row)
    values["events"] = tuple(orjson.loads(values["events"]))
    values["labels"] = orjson.loads(values["labels"])
    return Webhook(**values)
