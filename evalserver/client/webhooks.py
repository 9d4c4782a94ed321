"""Calls for administrators about webhooks: whom the server tells of events."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from evalserver.client.errors import Json
from evalserver.client.retries import Repeat
from evalserver.client.sending import Call, Sender


class WebhookCalls:
    """Calls about webhooks."""

    _sender: Sender

    async def create_webhook(
        self,
        url: str,
        events: Sequence[str] | None = None,
        *,
        series: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Json:
        """Have the server send a message to ``url`` at each of these events, from now on.

        ``events`` are types such as ``job.failed``, all if absent. ``series`` is a pattern, and
        ``labels`` are those that a job must have. Returns the webhook with its ``secret``, which
        is shown only now.

        >>> made = client.create_webhook("https://hooks.lab.example/evals", ["job.failed"])
        >>> made["secret"]
        'whsec_...'
        >>> client.delete_webhook(made["webhook_id"])["message"]
        'Webhook ... was deleted'
        """
        given = {"url": url, "events": events and list(events), "series": series}
        wanted: Json = {name: value for name, value in given.items() if value is not None}
        if labels:
            wanted["labels"] = dict(labels)
        return await self._post("", wanted)

    async def webhooks(self) -> list[Json]:
        """All webhooks, without their secrets, the oldest first.

        >>> client.webhooks()
        []
        """
        answer = await self._sender.answer(Call("GET", "/webhooks"))
        return list(answer["webhooks"])

    async def get_webhook(self, webhook_id: str) -> Json:
        """One webhook, and under ``messages`` the first that are not delivered, parked ones first.

        Raises NotFound.

        >>> client.get_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._sender.answer(Call("GET", _path(webhook_id)))

    async def delete_webhook(self, webhook_id: str) -> Json:
        """Delete a webhook, and what it was not told yet. Returns a ``message``. Raises NotFound.

        >>> client.delete_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        call = Call("DELETE", _path(webhook_id), repeat=Repeat.IF_NOT_RECEIVED)
        return await self._sender.answer(call)

    async def enable_webhook(self, webhook_id: str) -> Json:
        """Have a webhook that was disabled told of events again. Returns a ``message``.

        >>> client.enable_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._post(_path(webhook_id, "/enable"))

    async def rotate_webhook_secret(self, webhook_id: str) -> Json:
        """Give a webhook a new secret; the one before it signs as well for a day.

        Returns the webhook with the new ``secret``, which is shown only now.

        >>> client.rotate_webhook_secret("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._post(_path(webhook_id, "/secret"))

    async def test_webhook(self, webhook_id: str) -> Json:
        """Send a message of the type ``webhook.test`` once, now.

        Returns whether it was ``delivered``, the receiver's ``status``, and the ``error``.

        >>> client.test_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._post(_path(webhook_id, "/test"))

    async def resend_webhook(self, webhook_id: str) -> Json:
        """Have everything sent again that is parked. Returns how many ``messages`` that are.

        >>> client.resend_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._post(_path(webhook_id, "/resend"))

    async def discard_webhook(self, webhook_id: str) -> Json:
        """Remove everything that is parked. Returns how many ``messages`` that were.

        >>> client.discard_webhook("none")
        Traceback (most recent call last):
        evalserver.client.errors.NotFound: ...
        """
        return await self._post(_path(webhook_id, "/discard"))

    async def _post(self, path: str, body: Json | None = None) -> Json:
        path = path or "/webhooks"
        call = Call("POST", path, body=body, repeat=Repeat.IF_NOT_RECEIVED, server_wait_s=30.0)
        return await self._sender.answer(call)


def _path(webhook_id: str, operation: str = "") -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}{operation}"
