"""Webhooks: who is told of which events, and what was not delivered; for administrators."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from yarl import URL

from evalserver.core.clock import timestamp, utc_now
from evalserver.core.wording import count_of_messages
from evalserver.followers.webhooks.addresses import AddressRefused
from evalserver.followers.webhooks.bodies import body
from evalserver.followers.webhooks.events import EVENT_TYPES, TEST
from evalserver.followers.webhooks.signing import make_secret
from evalserver.store import Message, Webhook
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.responses import json_response
from evalserver.web.keys import BODY, STORE, WEBHOOK_ADDRESSES, WEBHOOK_DISPATCHER, WEBHOOK_SENDER
from evalserver.web.schemas.webhooks import WebhookSchema
from evalserver.web.security.authorization import CALLER

log = structlog.get_logger("evalserver.web")

OLD_SECRET_LIFETIME = timedelta(days=1)
MAX_MESSAGES = 100


async def get_webhooks(request: web.Request) -> web.Response:
    """``GET /webhooks``: list all webhooks, without their secrets."""
    found = await request.app[STORE].webhooks.counted_webhooks()
    return json_response({"webhooks": [webhook_json(each) for each in found]})


async def get_webhook(request: web.Request) -> web.Response:
    """``GET /webhooks/{webhook_id}``: a webhook, with its first undelivered messages."""
    store, webhook = request.app[STORE].webhooks, await _named(request)
    messages = await store.undelivered(webhook.webhook_id, MAX_MESSAGES)
    return json_response(
        {**webhook_json(webhook), "messages": [_message_json(each) for each in messages]}
    )


async def create_webhook(request: web.Request) -> web.Response:
    """``POST /webhooks``: create a webhook; only this response contains its secret.

    It is told of events from now on.
    """
    wanted: Mapping[str, Any] = request[BODY]
    try:
        request.app[WEBHOOK_ADDRESSES].require_allowed(URL(wanted["url"]).host or "")
    except AddressRefused as error:
        fault = FieldError("url", str(error))
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), (fault,)) from None
    webhook = Webhook(
        webhook_id=str(uuid.uuid4()),
        url=wanted["url"],
        events=tuple(dict.fromkeys(wanted.get("events") or EVENT_TYPES)),
        series=wanted.get("series"),
        labels=wanted.get("labels") or {},
        secret=make_secret(),
        created_at=timestamp(utc_now()),
        created_by=request[CALLER].name,
    )
    await request.app[STORE].webhooks.create(webhook)
    request.app[WEBHOOK_DISPATCHER].reload()
    log.info("webhook created", webhook=webhook.webhook_id, by=webhook.created_by)
    return _with_secret(webhook)


async def delete_webhook(request: web.Request) -> web.Response:
    """``DELETE /webhooks/{webhook_id}``: delete a webhook, and what it was not told yet."""
    webhook, actor = await _named(request), request[CALLER].name
    await request.app[STORE].webhooks.delete(webhook.webhook_id, actor)
    request.app[WEBHOOK_DISPATCHER].reload()
    log.info("webhook deleted", webhook=webhook.webhook_id, by=actor)
    return json_response({"message": f"Webhook {webhook.webhook_id} was deleted"})


async def enable_webhook(request: web.Request) -> web.Response:
    """``POST /webhooks/{webhook_id}/enable``: tell a disabled webhook of events again.

    Its receiver has answered with 410. What was parked then is sent after ``resend``.
    """
    webhook, actor = await _named(request), request[CALLER].name
    if webhook.disabled_at is None:
        return json_response(
            {"message": f"Webhook {webhook.webhook_id} was not disabled; nothing was changed"}
        )
    await request.app[STORE].webhooks.enable(webhook.webhook_id, actor)
    request.app[WEBHOOK_DISPATCHER].reload()
    return json_response({"message": f"Webhook {webhook.webhook_id} is told of events again"})


async def rotate_secret(request: web.Request) -> web.Response:
    """``POST /webhooks/{webhook_id}/secret``: sign with a new secret, which only this response has.

    The one before it signs as well for a day.
    """
    webhook, actor, secret = await _named(request), request[CALLER].name, make_secret()
    until = timestamp(utc_now() + OLD_SECRET_LIFETIME)
    store = request.app[STORE].webhooks
    await store.rotate(webhook.webhook_id, secret, until, actor)
    return _with_secret(await store.find(webhook.webhook_id))


async def test_webhook(request: web.Request) -> web.Response:
    """``POST /webhooks/{webhook_id}/test``: send a message of the type ``webhook.test`` once, now.

    Answers how that ended, also of a disabled webhook; nothing is kept of it.
    """
    webhook, actor = await _named(request), request[CALLER].name
    text = body(TEST, timestamp(utc_now()), {"actor": actor})
    message_id = f"msg_test_{uuid.uuid4()}"
    attempt = await request.app[WEBHOOK_SENDER].send(webhook, message_id, text)
    said = "Delivered" if attempt.error is None else "Not delivered"
    return json_response(
        {
            "message": f"{said}: {attempt.error or f'status {attempt.status}'}",
            "delivered": attempt.error is None,
            "status": attempt.status,
            "error": attempt.error,
        }
    )


async def resend_parked(request: web.Request) -> web.Response:
    """``POST /webhooks/{webhook_id}/resend``: send everything again that is parked, in order."""
    webhook, actor = await _named(request), request[CALLER].name
    if webhook.disabled_at is not None:
        raise BadRequest(
            HTTPStatus.CONFLICT,
            f"Webhook {webhook.webhook_id} is disabled: {webhook.disabled_reason}; enable it first",
        )
    number = await request.app[STORE].webhooks.resend(webhook.webhook_id, actor)
    request.app[WEBHOOK_DISPATCHER].reload()
    return json_response({"message": f"{count_of_messages(number)} sent again", "messages": number})


async def discard_parked(request: web.Request) -> web.Response:
    """``POST /webhooks/{webhook_id}/discard``: remove everything that is parked."""
    webhook, actor = await _named(request), request[CALLER].name
    number = await request.app[STORE].webhooks.discard(webhook.webhook_id, actor)
    request.app[WEBHOOK_DISPATCHER].reload()
    log.info("parked messages discarded", webhook=webhook.webhook_id, by=actor, messages=number)
    return json_response({"message": f"{count_of_messages(number)} discarded", "messages": number})


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook as the API describes it, without its secrets."""
    return {name: getattr(webhook, name) for name in WebhookSchema().fields}


def _with_secret(webhook: Webhook) -> web.Response:
    answer = json_response({**webhook_json(webhook), "secret": webhook.secret})
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _named(request: web.Request) -> Webhook:
    return await request.app[STORE].webhooks.find(request.match_info["webhook_id"])


def _message_json(message: Message) -> dict[str, Any]:
    is_parked = message.parked_at is not None
    names = ("message_id", "type", "created_at", "tries", "last_error", "parked_at")
    return {
        **{name: getattr(message, name) for name in names},
        "job_id": message.job_id or None,
        "next_try_at": None if is_parked else message.next_try_at,
    }
