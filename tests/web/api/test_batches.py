"""``/batches``: many evaluations at once, all of them or none."""

import asyncio
import csv
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from evalserver.web.schemas.batch_request import MAX_BYTES, MAX_JOBS, MAX_VALUES
from tests.conftest import MakeApi
from tests.store.test_migrate import rows
from tests.support import Api, Json, request, until
from tests.web.answers import Response, fetch

HANG = {"behave": "hang"}
REPLAY = "Idempotent-Replay"


def requests(count: int, **fields: Any) -> list[Json]:
    """Requests that differ in a label."""
    return [request(labels={"number": str(number)}, **fields) for number in range(count)]


async def submit(api: Api, count: int = 3, **fields: Any) -> Json:
    """Submit a batch and return the response."""
    body: Json = await api.call("POST", "/batches", json={"jobs": requests(count, **fields)})
    return body


async def rejected(api: Api, status: int = 422, **body: Any) -> Json:
    """Send a batch that is rejected, and return the problem."""
    problem: Json = await api.call("POST", "/batches", status, json=body)
    return problem


async def expanded(api: Api, base: Json, over: Json) -> list[Json]:
    """Return the requests of a sweep."""
    sweep = {"base": base, "over": over}
    body = await api.call("POST", "/batches?dry_run=1", json={"sweep": sweep})
    return list(body["jobs"])


async def ended(api: Api, batch_id: str) -> Json:
    """Wait until all jobs of a batch have finished, and return it."""

    async def finished() -> Json | None:
        batch: Json = await api.call("GET", f"/batches/{batch_id}?wait=5")
        return batch if batch["finished"] else None

    found: Json = await until(finished)
    return found


async def count_jobs(api: Api) -> int:
    """Return the number of jobs."""
    return len((await api.call("GET", "/jobs?limit=500"))["jobs"])


async def with_key(api: Api, body: Json, key: str = "the key") -> Response:
    """Submit a batch with a key."""
    return await fetch(api, "POST", "/batches", json=body, headers={"Idempotency-Key": key})


async def test_the_jobs_of_a_batch_are_queued_in_its_order(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")

    batch = await submit(api, 3)

    assert (await api.call("GET", "/queue"))["queued_jobs"] == batch["job_ids"]
    assert [(await api.job(each))["labels"]["number"] for each in batch["job_ids"]] == [*"012"]


async def test_a_job_names_its_batch(api: Api) -> None:
    batch = await submit(api, 1)

    assert (await api.job(batch["job_ids"][0]))["batch_id"] == batch["batch_id"]


async def test_the_audit_log_names_the_batch_of_each_job(api: Api, data_dir: Path) -> None:
    batch = await submit(api, 2)

    details = rows(data_dir, "SELECT detail FROM job_events WHERE event = 'submitted'")
    assert [json.loads(text) for (text,) in details] == [{"batch_id": batch["batch_id"]}] * 2


async def test_jobs_are_found_by_their_batch(api: Api) -> None:
    await api.submit()
    batch = await submit(api, 2)

    found = await api.call("GET", f"/jobs?batch_id={batch['batch_id']}")

    assert [job["job_id"] for job in found["jobs"]] == batch["job_ids"][::-1]


async def test_every_fault_is_listed_with_the_number_of_its_request(api: Api) -> None:
    jobs = [
        request(),
        request(limit=0, modle="x"),
        "no request",
        {"model": "dummy"},
        request(labels={"a": 1}),
    ]

    problem = await rejected(api, jobs=jobs)

    fields = [each["field"] for each in problem["errors"]]
    assert fields == ["jobs.1.limit", "jobs.1.modle", "jobs.2", "jobs.3.tasks", "jobs.4.labels.a"]


async def test_an_unknown_field_gets_a_suggestion(api: Api) -> None:
    problem = await rejected(api, jobs=[request(modle="x")])

    assert "Did you mean 'model'?" in problem["errors"][0]["message"]


async def test_unknown_names_and_missing_checkpoints_have_the_number_of_their_request(
    api: Api, tmp_path: Path
) -> None:
    await api.call("GET", "/tasks")
    await api.call("GET", "/models")
    missing = {"pretrained": str(tmp_path / "missing")}
    jobs = [request(), request(tasks=["mme", "mne"]), request(model_args=missing)]

    problem = await rejected(api, jobs=jobs)

    fields = [each["field"] for each in problem["errors"]]
    assert fields == ["jobs.1.tasks.1", "jobs.2.model_args.pretrained"]


async def test_without_validation_missing_checkpoints_are_accepted(
    api: Api, tmp_path: Path
) -> None:
    jobs = requests(2, model_args={"pretrained": str(tmp_path / "missing")})

    batch = await api.call("POST", "/batches?validate=0", json={"jobs": jobs})

    assert batch["count"] == 2


async def test_one_fault_rejects_the_whole_batch(api: Api) -> None:
    await rejected(api, jobs=[*requests(5), request(limit=0)])

    assert await count_jobs(api) == 0


async def test_many_faults_are_counted_beyond_the_first_hundred(api: Api) -> None:
    problem = await rejected(api, jobs=requests(MAX_JOBS, limit=0))

    assert len(problem["errors"]) == 101
    assert problem["errors"][-1] == {"field": "", "message": "There are 900 more errors."}


async def test_many_unknown_names_are_counted_beyond_the_first_hundred(api: Api) -> None:
    await api.call("GET", "/tasks")

    problem = await rejected(api, jobs=[request(tasks=[f"t{n}"]) for n in range(150)])

    assert problem["errors"][-1] == {"field": "", "message": "There are 50 more errors."}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "jobs"),
        ({"jobs": [{}], "sweep": {"base": {}, "over": {"seed": [1]}}}, "jobs"),
        ({"jobs": []}, "jobs"),
        ({"jobs": {}}, "jobs"),
        ({"jobs": None}, "jobs"),
        ({"jobs": [1] * (MAX_JOBS + 1)}, "jobs"),
        ({"job": []}, "job"),
        ({"sweep": []}, "sweep"),
        ({"sweep": {"base": {}}}, "sweep"),
        ({"sweep": {"base": [], "over": {"tasks": [1]}}}, "sweep.base"),
        ({"sweep": {"base": {}, "over": {}}}, "sweep.over"),
        ({"sweep": {"base": {}, "over": {"tasks": []}}}, "sweep.over.tasks"),
        ({"sweep": {"base": {}, "over": {"tasks": "mme"}}}, "sweep.over.tasks"),
        ({"sweep": {"base": {}, "over": {"task": [1]}}}, "sweep.over.task"),
        ({"sweep": {"base": {}, "over": {"model.a": [1]}}}, "sweep.over.model.a"),
        ({"sweep": {"base": {}, "over": {"labels.": [1]}}}, "sweep.over.labels."),
        ({"sweep": {"base": {}, "over": {"model_args.a.b": [1]}}}, "sweep.over.model_args.a.b"),
        (
            {"sweep": {"base": {"gen_kwargs": "a=1"}, "over": {"gen_kwargs.b": [1]}}},
            "sweep.over.gen_kwargs.b",
        ),
        (
            {"sweep": {"base": {}, "over": {"labels": [{}], "labels.a": ["b"]}}},
            "sweep.over.labels.a",
        ),
    ],
)
async def test_a_malformed_batch_is_rejected(api: Api, body: Json, field: str) -> None:
    problem = await rejected(api, **body)

    assert [each["field"] for each in problem["errors"]] == [field]


async def test_a_sweep_crosses_its_values_and_the_last_changes_fastest(api: Api) -> None:
    over = {"tasks": [["mme"], ["ocrbench"]], "model_args.t": [0, 1], "labels.run": ["a"]}

    jobs = await expanded(api, {"model": "dummy", "model_args": {"value": 0.5}}, over)

    assert jobs == [
        {
            "model": "dummy",
            "tasks": [task],
            "model_args": {"value": 0.5, "t": t},
            "labels": {"tasks": task, "model_args.t": str(t), "run": "a"},
        }
        for task in ("mme", "ocrbench")
        for t in (0, 1)
    ]


@pytest.mark.parametrize(
    ("path", "value", "labels"),
    [
        ("seed", 7, {"seed": "7"}),
        ("model_args.pretrained", "org/model", {"model_args.pretrained": "org/model"}),
        ("model_args.api_key", "abcdefgh", {}),
        ("model_args.note", "hf_" + "x" * 20, {}),
        ("model_args.note", "x" * 513, {}),
        ("gen_kwargs", {"temperature": 0}, {}),
        ("model_args", {"api_key": "abcdefgh"}, {}),
    ],
)
async def test_the_values_of_a_sweep_are_labels_unless_they_are_secret_or_long(
    api: Api, path: str, value: Any, labels: Json
) -> None:
    [job] = await expanded(api, request(), {path: [value]})

    assert job["labels"] == labels


async def test_a_label_of_the_base_is_kept_in_a_sweep(api: Api) -> None:
    [job] = await expanded(api, request(labels={"seed": "mine"}), {"seed": [7]})

    assert job["labels"] == {"seed": "mine"}


async def test_the_values_of_a_sweep_leave_a_base_with_as_many_labels_as_there_may_be(
    api: Api,
) -> None:
    labels = {f"name{number}": "x" for number in range(64)}

    [job] = await expanded(api, request(labels=labels), {"seed": [7]})

    assert job["labels"] == labels


async def test_a_dry_run_checks_the_requests_and_queues_nothing(api: Api) -> None:
    sweep = {"base": request(), "over": {"limit": [1, 0]}}
    problem = await api.call("POST", "/batches?dry_run=1", 422, json={"sweep": sweep})

    await expanded(api, request(), {"limit": [1, 2]})

    assert [each["field"] for each in problem["errors"]] == ["jobs.1.limit"]
    assert await count_jobs(api) == 0


async def test_a_sweep_queues_its_requests(api: Api) -> None:
    sweep = {"base": request(), "over": {"model_args.value": [0.25, 0.75]}}

    batch = await api.call("POST", "/batches", json={"sweep": sweep})

    jobs = [await api.job(each) for each in batch["job_ids"]]
    assert [job["request"]["model_args"]["value"] for job in jobs] == [0.25, 0.75]


async def test_a_huge_sweep_is_rejected_before_it_is_expanded(api: Api) -> None:
    over = {f"labels.{name}": [*"0123456789"] for name in "abcdefghi"}
    began = time.monotonic()

    problem = await rejected(api, sweep={"base": request(), "over": over})

    assert "Makes 1000000000 jobs; at most 1000 are allowed." in problem["errors"][0]["message"]
    assert time.monotonic() - began < 10


async def test_a_sweep_of_a_large_base_is_rejected_before_it_is_expanded(api: Api) -> None:
    base = request(model_args={"note": "x" * 100_000})

    problem = await rejected(api, sweep={"base": base, "over": {"seed": [*range(1000)]}})

    assert f"at most {MAX_BYTES} are allowed" in problem["errors"][0]["message"]


async def test_a_batch_may_be_larger_than_the_body_of_one_request(make_api: MakeApi) -> None:
    api = await make_api(max_body_bytes=100_000)

    batch = await submit(api, 20, model_args={"note": "x" * 20_000})

    assert batch["count"] == 20


async def test_a_request_of_a_batch_may_be_as_large_as_one_alone(make_api: MakeApi) -> None:
    api = await make_api(max_body_bytes=100_000)

    problem = await rejected(api, jobs=[request(), request(model_args={"note": "x" * 100_000})])

    assert [each["field"] for each in problem["errors"]] == ["jobs.1"]


async def test_a_body_beyond_16_megabytes_is_rejected(api: Api) -> None:
    headers = {"Content-Type": "application/json"}

    response = await fetch(
        api, "POST", "/batches", data=io.BytesIO(b" " * (MAX_BYTES + 1)), headers=headers
    )

    assert response.status == 413
    assert f"at most {MAX_BYTES} bytes" in response.json["detail"]


async def test_nested_lists_of_16_megabytes_are_rejected_before_they_are_parsed(api: Api) -> None:
    body = b'{"jobs": [' + b"[],[[]]," * (MAX_BYTES // 8 - 10) + b"1]}"
    headers = {"Content-Type": "application/json"}

    response = await fetch(api, "POST", "/batches", data=io.BytesIO(body), headers=headers)

    assert response.status == 413
    assert f"at most {MAX_VALUES} are allowed" in response.json["detail"]


async def test_deeply_nested_json_is_rejected(api: Api) -> None:
    body = b'{"jobs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    headers = {"Content-Type": "application/json"}

    response = await fetch(api, "POST", "/batches", data=body, headers=headers)

    assert response.status == 400


async def test_the_same_key_and_body_return_the_same_batch(api: Api) -> None:
    body = {"jobs": requests(3)}
    first = await with_key(api, body)

    second = await with_key(api, body)

    assert second.json == first.json
    assert second.headers[REPLAY] == "true"
    assert await count_jobs(api) == 3


async def test_the_same_key_with_another_body_is_rejected(api: Api) -> None:
    await with_key(api, {"jobs": requests(3)})

    response = await with_key(api, {"jobs": requests(2)})

    assert response.status == 422
    assert await count_jobs(api) == 3


async def test_the_key_of_a_batch_is_not_that_of_its_only_request(api: Api) -> None:
    await with_key(api, {"jobs": [request()]})

    response = await fetch(
        api, "POST", "/evaluate", json=request(), headers={"Idempotency-Key": "the key"}
    )

    assert response.status == 422


async def test_a_batch_is_repeated_although_its_checkpoint_is_gone(
    api: Api, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    body = {"jobs": requests(2, model_args={"pretrained": str(checkpoint)})}
    first = await with_key(api, body)
    (checkpoint / "config.json").unlink()
    checkpoint.rmdir()

    second = await with_key(api, body)

    assert second.json == first.json


async def test_of_concurrent_batches_with_one_key_one_is_queued(api: Api) -> None:
    body = {"jobs": requests(100)}

    answers = await asyncio.gather(*(with_key(api, body) for _ in range(5)))

    assert {each.status for each in answers} <= {200, 409}
    assert len({each.json["batch_id"] for each in answers if each.status == 200}) == 1
    assert await count_jobs(api) == 100


async def test_concurrent_batches_are_not_interleaved(api: Api) -> None:
    await api.when(await api.submit(model_args=HANG), "running")

    batches = await asyncio.gather(*(submit(api, 100) for _ in range(3)))

    queue = (await api.call("GET", "/queue"))["queued_jobs"]
    first = sorted(batches, key=lambda batch: queue.index(batch["job_ids"][0]))
    assert queue == [job_id for batch in first for job_id in batch["job_ids"]]


async def test_a_batch_that_exceeds_the_queue_is_rejected_as_a_whole(make_api: MakeApi) -> None:
    api = await make_api(max_queued_jobs=5)
    await api.call("POST", "/drain")
    await submit(api, 3)

    problem = await rejected(api, 429, jobs=requests(3))
    await submit(api, 2)

    assert "max_queued_jobs" in problem["detail"]
    assert await count_jobs(api) == 5


async def test_a_draining_server_queues_a_batch_and_starts_nothing(api: Api) -> None:
    await api.call("POST", "/drain")

    batch = await submit(api, 3)

    state = await api.call("GET", f"/batches/{batch['batch_id']}")
    assert state["counts"]["queued"] == 3


async def test_a_batch_counts_its_jobs_by_state(make_api: MakeApi) -> None:
    api = await make_api(max_completed_jobs=2)
    batch = await api.call(
        "POST",
        "/batches",
        json={"jobs": [request(), request(model_args={"behave": "crash"}), request()]},
    )

    state = await ended(api, batch["batch_id"])

    assert (state["count"], state["pruned"], state["finished"]) == (3, 1, True)
    assert state["counts"] == {
        "queued": 0, "running": 0, "completed": 2, "failed": 1, "cancelled": 0,
    }  # fmt: skip


async def test_waiting_for_a_batch_ends_after_the_requested_time(api: Api) -> None:
    batch = await submit(api, 1, model_args=HANG)

    state = await api.call("GET", f"/batches/{batch['batch_id']}?wait=0.2")

    assert state["finished"] is False


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_batch_is_not_found(api: Api, method: str) -> None:
    problem = await api.call(method, "/batches/none", 404)

    assert problem["detail"] == "Batch none not found, or all of its jobs were erased"


async def test_cancelling_a_batch_says_what_happened_to_each_kind(api: Api) -> None:
    jobs = [request(), request(model_args=HANG), request(), request()]
    batch = await api.call("POST", "/batches", json={"jobs": jobs})
    await api.when(batch["job_ids"][1], "running")

    done = await api.call("DELETE", f"/batches/{batch['batch_id']}")

    assert (done["cancelled"], done["stopping"], done["finished"]) == (2, 1, 1)
    state = await ended(api, batch["batch_id"])
    assert (state["counts"]["completed"], state["counts"]["cancelled"]) == (1, 3)


async def test_cancelling_a_finished_batch_changes_nothing(api: Api) -> None:
    batch = await submit(api, 1)
    await ended(api, batch["batch_id"])

    done = await api.call("DELETE", f"/batches/{batch['batch_id']}")

    assert (done["cancelled"], done["stopping"], done["finished"]) == (0, 0, 1)


async def test_cancelling_a_batch_leaves_other_jobs(api: Api) -> None:
    await api.call("POST", "/drain")
    other = await api.submit()
    batch = await submit(api, 2)

    await api.call("DELETE", f"/batches/{batch['batch_id']}")

    assert (await api.job(other))["status"] == "queued"


async def test_the_results_of_a_batch_come_in_pages(api: Api) -> None:
    sweep = {"base": request(), "over": {"model_args.value": [0.25, 0.5, 0.75]}}
    batch = await api.call("POST", "/batches", json={"sweep": sweep})
    await ended(api, batch["batch_id"])
    path = f"/batches/{batch['batch_id']}/results"

    first = await api.call("GET", f"{path}?limit=2")
    last = await api.call("GET", f"{path}?limit=2&cursor={first['next']}")

    values = [(row["job_id"], row["value"]) for row in first["results"] + last["results"]]
    assert values == list(zip(batch["job_ids"], [0.25, 0.5, 0.75], strict=True))
    assert last["next"] is None


async def test_the_results_of_a_batch_are_one_table(api: Api) -> None:
    batch = await submit(api, 2)
    await ended(api, batch["batch_id"])

    text = await api.text(f"/batches/{batch['batch_id']}/results?format=csv")

    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["job_id"] for row in table] == batch["job_ids"]
    assert [row["labels"] for row in table] == ["number=0", "number=1"]


async def test_the_jobs_of_a_batch_are_compared(api: Api) -> None:
    batch = await submit(api, 2)
    await ended(api, batch["batch_id"])

    compared = await api.call("GET", f"/compare?batch_id={batch['batch_id']}")

    assert [job["job_id"] for job in compared["jobs"]] == batch["job_ids"]


async def test_a_batch_of_one_completed_job_is_not_compared(api: Api) -> None:
    batch = await submit(api, 1)
    await ended(api, batch["batch_id"])

    problem = await api.call("GET", f"/compare?batch_id={batch['batch_id']}", 409)

    assert "has 1 completed jobs; 2 to 10 can be compared" in problem["detail"]


async def test_batches_are_listed_the_newest_first(api: Api) -> None:
    first, second = await submit(api, 1), await submit(api, 2)

    listed = (await api.call("GET", "/batches"))["batches"]

    assert [(each["batch_id"], each["count"]) for each in listed] == [
        (second["batch_id"], 2), (first["batch_id"], 1),
    ]  # fmt: skip


async def test_a_batch_is_found_by_the_end_of_its_id(api: Api) -> None:
    batch = await submit(api, 1)
    await submit(api, 1)

    listed = (await api.call("GET", f"/batches?batch_id={batch['batch_id'][-8:]}"))["batches"]

    assert [each["batch_id"] for each in listed] == [batch["batch_id"]]
