"""Webhooks: every event is received, signed, in order for each job, whatever fails meanwhile."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.followers.webhooks import dispatcher
from evalserver.followers.webhooks.dispatcher import Pauses
from tests.conftest import MakeApi
from tests.followers.receivers import Receiver, receiving
from tests.support import Api, Json, until
from tests.web.api.test_compare import run_completed

LOOPBACK = {"webhook_allow_network": ("127.0.0.0/8",)}
SHORT = Pauses(0.05, 0.2, 3 * 86400.0)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A running receiver, which accepts everything."""
    with receiving(tmp_path) as receiver:
        yield receiver


@pytest.fixture
async def api(make_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The application, which may send to loopback, and tries again soon."""
    monkeypatch.setattr(dispatcher, "Pauses", lambda: SHORT)
    return await make_api(**LOOPBACK)


async def create(api: Api, receiver: Receiver, **fields: Any) -> Json:
    """Create a webhook for a receiver; returns it with its secret."""
    made: Json = await api.call("POST", "/webhooks", json={"url": receiver.url, **fields})
    return made


async def webhook(api: Api, made: Json) -> Json:
    """The webhook as it is now."""
    found: Json = await api.call("GET", f"/webhooks/{made['webhook_id']}")
    return found


async def when(api: Api, made: Json, **values: Any) -> Json:
    """Wait until the webhook has these values, and return it."""

    async def reached() -> Json | None:
        found = await webhook(api, made)
        return found if all(found[name] == value for name, value in values.items()) else None

    found: Json = await until(reached)
    return found


def types_of(requests: list[Json]) -> list[str]:
    return [json.loads(each["body"])["type"] for each in requests]


async def test_a_job_is_told_of_from_start_to_end(api: Api, receiver: Receiver) -> None:
    made = await create(api, receiver)
    job_id = await api.submit()
    await api.finished(job_id)

    await receiver.received(2)

    bodies = receiver.bodies(made["secret"])
    assert [each["type"] for each in bodies] == ["job.started", "job.completed"]
    assert {each["data"]["job_id"] for each in bodies} == {job_id}
    assert bodies[1]["data"]["metrics"][0]["task"] == "mme"
    assert (await when(api, made, delivered=2))["undelivered"] == 0
    assert set(receiver.requests[0]["headers"]) >= {
        "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip


async def test_only_the_wanted_events_of_the_wanted_jobs_are_sent(
    api: Api, receiver: Receiver
) -> None:
    fields = {"events": ["job.completed"], "series": "run-*", "labels": {"team": "a"}}
    await create(api, receiver, **fields)
    for series, team in (("other", "a"), ("run-1", "b"), ("run-1", "a")):
        await api.finished(await api.submit(series=series, step=1, labels={"team": team}))

    [request] = await receiver.received(1)

    data = json.loads(request["body"])["data"]
    assert (data["series"], data["labels"]["team"]) == ("run-1", "a")


async def test_a_failed_delivery_is_repeated_with_the_same_id(api: Api, receiver: Receiver) -> None:
    receiver.answer(500)
    made = await create(api, receiver, events=["job.completed"])
    await api.finished(await api.submit())
    await receiver.received(2)
    assert (await webhook(api, made))["last_error"] == "status 500"

    receiver.answer(200)
    await when(api, made, undelivered=0)

    assert len({each["headers"]["webhook-id"] for each in receiver.requests}) == 1
    assert len(receiver.bodies(made["secret"])) == 1


async def test_later_messages_wait_for_a_failed_one_of_the_same_job_only(
    api: Api, receiver: Receiver
) -> None:
    receiver.answer(500)
    made = await create(api, receiver, events=["job.started", "job.completed"])
    first = await api.submit()
    await api.finished(first)
    second = await api.submit()
    await api.finished(second)

    async def both_tried() -> bool:
        return {json.loads(each["body"])["data"]["job_id"] for each in receiver.requests} == {
            first,
            second,
        }

    await until(both_tried)
    assert set(types_of(receiver.requests)) == {"job.started"}

    receiver.answer(200)
    await when(api, made, undelivered=0)
    accepted = [each for each in receiver.bodies(made["secret"]) if each["data"]["job_id"] == first]
    assert [each["type"] for each in accepted] == ["job.started", "job.completed"]


async def test_what_cannot_be_delivered_is_parked_and_sent_again_by_hand(
    make_api: MakeApi, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "Pauses", lambda: Pauses(0.05, 0.05, 0.1))
    api = await make_api(**LOOPBACK)
    receiver.answer(503)
    made = await create(api, receiver, events=["job.started", "job.completed"])
    await api.finished(await api.submit())
    parked = await when(api, made, parked=2)
    assert [each["type"] for each in parked["messages"]] == ["job.started", "job.completed"]
    health = await api.call("GET", "/health")
    assert health["status"] == "degraded"

    receiver.answer(200)
    answer = await api.call("POST", f"/webhooks/{made['webhook_id']}/resend")

    assert answer["messages"] == 2
    await when(api, made, undelivered=0)
    assert [each["type"] for each in receiver.bodies(made["secret"])] == [
        "job.started",
        "job.completed",
    ]

    async def is_healthy() -> bool:
        health = await api.call("GET", "/health")
        return bool(health["status"] == "healthy")

    await until(is_healthy)


async def test_a_receiver_that_is_gone_is_told_of_nothing_until_enabled(
    api: Api, receiver: Receiver
) -> None:
    receiver.answer(410)
    made = await create(api, receiver, events=["job.completed"])
    await api.finished(await api.submit())
    found = await when(api, made, parked=1)
    assert found["disabled_reason"].startswith("status 410")
    await api.finished(await api.submit())
    assert (await webhook(api, made))["undelivered"] == 1

    receiver.answer(200)
    path = f"/webhooks/{made['webhook_id']}"
    await api.call("POST", f"{path}/resend", 409)
    await api.call("POST", f"{path}/enable")
    await api.call("POST", f"{path}/resend")

    await when(api, made, undelivered=0, disabled_at=None)


async def test_a_redirect_is_a_failure(api: Api, receiver: Receiver) -> None:
    receiver.answer(302, Location=f"http://127.0.0.1:{receiver.port}/elsewhere")
    made = await create(api, receiver)

    ended = await api.call("POST", f"/webhooks/{made['webhook_id']}/test")

    assert (ended["delivered"], ended["status"]) == (False, 302)
    assert len(receiver.requests) == 1


async def test_both_secrets_sign_while_one_is_rotated(api: Api, receiver: Receiver) -> None:
    made = await create(api, receiver)
    path = f"/webhooks/{made['webhook_id']}"
    rotated = await api.call("POST", f"{path}/secret")

    await api.call("POST", f"{path}/test")

    for secret in (made["secret"], rotated["secret"]):
        assert receiver.bodies(secret)[0]["type"] == "webhook.test"
    assert made["secret"] != rotated["secret"]


async def test_secrets_are_in_no_later_answer(api: Api, receiver: Receiver) -> None:
    made = await create(api, receiver)

    shown = [await api.text("/webhooks"), await api.text(f"/webhooks/{made['webhook_id']}")]

    assert not any("whsec_" in each for each in shown)


async def test_a_verdict_of_a_gate_is_told_of(api: Api, receiver: Receiver) -> None:
    made = await create(api, receiver, events=["gate.verdict"])
    baseline, job = await run_completed(api), await run_completed(api)
    judged = {"job": job, "baseline": baseline, "max_drop": 0.01}

    kept = await api.call("POST", "/gate", json=judged)

    await receiver.received(1)
    [body] = receiver.bodies(made["secret"])
    assert (body["data"]["job_id"], body["data"]["verdict"]["verdict"]) == (job, kept["verdict"])


async def test_a_drained_server_is_told_of(api: Api, receiver: Receiver) -> None:
    await create(api, receiver, events=["server.drained"])

    await api.call("POST", "/drain?reason=driver")

    [request] = await receiver.received(1)
    assert json.loads(request["body"])["data"]["reason"] == "driver"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://10.1.2.3/",
        "http://169.254.169.254/latest",
        "http://[64:ff9b::a00:1]/",
    ],
)
async def test_a_private_address_is_refused(make_api: MakeApi, url: str) -> None:
    api = await make_api()

    answer = await api.call("POST", "/webhooks", 422, json={"url": url})

    assert "--webhook-allow-network" in answer["errors"][0]["message"]


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433"])
async def test_a_name_of_a_private_address_is_not_sent_to(
    make_api: MakeApi, receiver: Receiver, host: str
) -> None:
    api = await make_api()
    url = f"http://{host}:{receiver.port}/"
    made = await api.call("POST", "/webhooks", json={"url": url})

    ended = await api.call("POST", f"/webhooks/{made['webhook_id']}/test")

    assert any(why in ended["error"] for why in ("private address", "URL is invalid"))
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://a.example/"}, "url"),
        ({"url": "https://user:password@a.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://a b.example/"}, "url"),
        ({"url": "https://a..example/"}, "url"),
        ({"url": "https://a.example/", "events": ["job.ended"]}, "events.0"),
        ({"url": "https://a.example/", "events": []}, "events"),
    ],
)
async def test_an_invalid_webhook_is_rejected(api: Api, fields: Json, field: str) -> None:
    answer = await api.call("POST", "/webhooks", 422, json=fields)

    assert answer["errors"][0]["field"] == field


async def test_a_deleted_webhook_is_told_of_nothing(api: Api, receiver: Receiver) -> None:
    receiver.answer(500)
    made = await create(api, receiver, events=["job.completed"])
    await api.finished(await api.submit())
    await receiver.received(1)

    await api.call("DELETE", f"/webhooks/{made['webhook_id']}")

    await api.call("GET", f"/webhooks/{made['webhook_id']}", 404)
    assert (await api.call("GET", "/webhooks"))["webhooks"] == []
