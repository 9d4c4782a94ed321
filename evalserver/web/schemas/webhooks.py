"""The schemas of webhooks: who is told of which events, and what was not delivered."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields
from yarl import URL

from evalserver.followers.webhooks.events import EVENT_TYPES
from evalserver.web.schemas.fields import JsonSchema, Labels, List, PublicText, Text, about
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.responses import JOB_ID, ResponseSchema, Time

WEBHOOK_ID = "4f0d1f0e-8c5c-4d57-9f0e-2f6e0a4a9c11"

EXAMPLE: Mapping[str, Any] = MappingProxyType(
    {
        "webhook_id": WEBHOOK_ID,
        "url": "https://hooks.lab.example/evalserver",
        "events": ["job.failed", "gate.verdict"],
        "series": "vlm-*",
        "labels": {},
        "created_at": "2026-11-24T09:30:00.000Z",
        "created_by": "alice",
        "disabled_at": None,
        "disabled_reason": None,
        "delivered": 4,
        "delivered_at": "2026-11-24T10:30:00.000Z",
        "failed_at": None,
        "last_error": None,
        "undelivered": 0,
        "parked": 0,
        "old_secret_until": None,
    }
)


class WebhookUrl(Text):
    """An http or https URL without user, password and fragment."""

    PATTERN = r"^https?://[!-~]+$"

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            url = URL(text)
            (url.host or "").encode("idna")  # as it is when the name is looked up
            is_valid = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
            is_plain = url.user is None and url.password is None and not url.fragment
        except ValueError:
            is_valid = is_plain = False
        if not is_valid or re.fullmatch(self.PATTERN, text) is None:
            raise ValidationError("Must be a URL such as https://hooks.lab.example/path.")
        if not is_plain:
            raise ValidationError("Must not have a user, a password or a fragment.")
        return text


class EventType(Text):
    """The type of an event."""

    def json_schema(self) -> JsonSchema:
        """The types."""
        return {"type": "string", "enum": list(EVENT_TYPES)}

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        if value not in EVENT_TYPES:
            raise ValidationError(f"Must be one of {', '.join(EVENT_TYPES)}.")
        return str(value)


class NewWebhookSchema(StrictSchema):
    """A webhook to create."""

    EXAMPLE = MappingProxyType(
        {"url": "https://hooks.lab.example/evalserver", "events": ["job.failed"], "series": "vlm-*"}
    )

    url = WebhookUrl(required=True, longest=2000, metadata=about("Where messages are sent to."))
    events = List(
        EventType(),
        longest=len(EVENT_TYPES),
        metadata=about("The types of events that it is told of; all if absent."),
    )
    series = PublicText(
        longest=256, metadata=about("A pattern such as `vlm-*`: only jobs of such series.")
    )
    labels = Labels(metadata=about("Only jobs that have all of these labels."))


class WebhookSchema(ResponseSchema):
    """A webhook, without its secret."""

    EXAMPLE = EXAMPLE

    webhook_id = fields.String()
    url = fields.String()
    events = fields.List(fields.String())
    series = fields.String(allow_none=True)
    labels = fields.Dict(keys=fields.String(), values=fields.String())
    created_at = Time()
    created_by = fields.String()
    disabled_at = Time(allow_none=True, metadata=about("Since when it is told of nothing."))
    disabled_reason = fields.String(allow_none=True)
    delivered = fields.Integer(metadata=about("How many messages were delivered."))
    delivered_at = Time(allow_none=True)
    failed_at = Time(allow_none=True, metadata=about("Null once a delivery has succeeded again."))
    last_error = fields.String(allow_none=True)
    undelivered = fields.Integer(metadata=about("Messages that wait or are parked."))
    parked = fields.Integer(metadata=about("Messages that are not tried again by themselves."))
    old_secret_until = Time(
        allow_none=True, metadata=about("Until when the secret before this one signs as well.")
    )


class WebhooksSchema(ResponseSchema):
    """All webhooks, the oldest first."""

    EXAMPLE = MappingProxyType({"webhooks": [dict(EXAMPLE)]})

    webhooks = fields.List(fields.Nested(WebhookSchema))


class MadeWebhookSchema(WebhookSchema):
    """A webhook with its new secret, which is shown only once."""

    EXAMPLE = MappingProxyType({**EXAMPLE, "secret": "whsec_..."})

    secret = fields.String(metadata=about("Verifies signatures; it is shown only once."))


class WebhookMessageSchema(ResponseSchema):
    """A message that is not delivered."""

    message_id = fields.String(metadata=about("Its `webhook-id`, the same at each attempt."))
    type = fields.String()
    job_id = fields.String(allow_none=True, metadata=about("Null: it is about the server."))
    created_at = Time()
    tries = fields.Integer()
    next_try_at = Time(allow_none=True, metadata=about("Null: it is parked."))
    last_error = fields.String(allow_none=True)
    parked_at = Time(allow_none=True)


class WebhookDetailsSchema(WebhookSchema):
    """A webhook with the first messages that are not delivered, parked ones first."""

    EXAMPLE = MappingProxyType(
        {
            **EXAMPLE,
            "undelivered": 1,
            "parked": 1,
            "messages": [
                {
                    "message_id": f"msg_42_1794825000000_{WEBHOOK_ID}",
                    "type": "job.failed",
                    "job_id": JOB_ID,
                    "created_at": "2026-11-24T09:30:00.000Z",
                    "tries": 17,
                    "next_try_at": None,
                    "last_error": "status 500",
                    "parked_at": "2026-11-27T09:30:00.000Z",
                }
            ],
        }
    )

    messages = fields.List(fields.Nested(WebhookMessageSchema))


class TestedWebhookSchema(ResponseSchema):
    """How a test delivery ended."""

    EXAMPLE = MappingProxyType(
        {
            "message": "Not delivered: status 500",
            "delivered": False,
            "status": 500,
            "error": "status 500",
        }
    )

    message = fields.String()
    delivered = fields.Boolean()
    status = fields.Integer(allow_none=True, metadata=about("Of the receiver's response."))
    error = fields.String(allow_none=True)


class MovedMessagesSchema(ResponseSchema):
    """What was done with parked messages."""

    EXAMPLE = MappingProxyType({"message": "3 messages are sent again", "messages": 3})

    message = fields.String()
    messages = fields.Integer()
