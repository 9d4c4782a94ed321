"""``/gate``: verdicts on jobs, computed and kept."""

from typing import Any

import pytest

from tests.support import Api, Json
from tests.web.api.test_compare import run_completed, run_scored

RIGHT = [1] * 500
WORSE = [0] * 60 + [1] * 440
STRICT: Json = {"max_drop": 0.01}


async def judge(api: Api, job: str, baseline: str, status: int = 200, **query: Any) -> Json:
    """Return the verdict that ``GET /gate`` computes."""
    params = {"job": job, "baseline": baseline, **query}
    body: Json = await api.call("GET", "/gate", status, params=params)
    return body


async def keep(api: Api, job: str, baseline: str, status: int = 200, **fields: Any) -> Json:
    """Return the verdict that ``POST /gate`` keeps."""
    body: Json = await api.call(
        "POST", "/gate", status, json={"job": job, "baseline": baseline, **fields}
    )
    return body


def errors_of(body: Json) -> dict[str, str]:
    """The messages of a problem document, by field."""
    return {each["field"]: each["message"] for each in body["errors"]}


async def test_a_job_that_is_worse_is_a_no_go(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)

    body = await judge(api, job, baseline, max_drop="0.01")

    [judgement] = body["judgements"]
    assert (body["verdict"], judgement["verdict"]) == ("no_go", "breach")
    assert (body["job_id"], body["baseline_id"], body["policy"]) == (job, baseline, None)
    assert judgement["damage"]["value"] == pytest.approx(0.12)
    assert (judgement["damage"]["worse"], judgement["damage"]["better"]) == (60, 0)
    assert body["reason"] == "1 of 1 metric breached the gate: mme acc."


async def test_a_job_that_is_as_good_is_a_go(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *RIGHT)

    body = await judge(api, job, baseline, max_drop="0.01", confidence="0.9")

    assert body["verdict"] == "go"
    assert body["rules"] == [
        {
            "task": "*",
            "tier": "critical",
            "max_drop": 0.01,
            "confidence": 0.9,
            "missing": "inconclusive",
            "allow_unpaired": False,
        }
    ]


async def test_few_documents_are_inconclusive_and_it_says_how_many_would_decide(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT[:50]), await run_scored(api, *RIGHT[:50])

    body = await judge(api, job, baseline, max_drop="0.01")

    assert body["verdict"] == "inconclusive"
    assert body["n_to_decide"] == pytest.approx(380, rel=0.03)


async def test_without_samples_it_is_never_a_go(api: Api) -> None:
    baseline = await run_completed(api, model_args={"value": 0.1})
    job = await run_completed(api, model_args={"value": 0.9})

    body = await judge(api, job, baseline, max_drop="0.5")

    [judgement] = body["judgements"]
    assert (body["verdict"], judgement["damage"]["n"]) == ("inconclusive", None)
    assert "not paired" in judgement["reason"]


async def test_a_verdict_of_get_is_not_kept(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *RIGHT)

    body = await judge(api, job, baseline, max_drop="0.01")

    assert (body["verdict_id"], body["at"], body["actor"]) == (None, None, None)
    assert (await api.call("GET", "/gate/verdicts"))["verdicts"] == []


async def test_a_verdict_of_post_is_kept_and_audited(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)

    body = await keep(api, job, baseline, **STRICT)

    assert await api.call("GET", f"/gate/verdicts/{body['verdict_id']}") == body
    [listed] = (await api.call("GET", "/gate/verdicts", params={"job": job}))["verdicts"]
    assert listed == {name: body[name] for name in listed}
    async with api.stream(f"/jobs/{job}/events") as events:
        kinds = [(await events.next()).data.get("event") for _ in range(4)]
    assert kinds == ["submitted", "claimed", "completed", "judged"]


async def test_both_say_the_same(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)

    computed = await judge(api, job, baseline, max_drop="0.01", task="m*")
    kept = await keep(api, job, baseline, **STRICT, task=["m*"])

    of_keeping = {"verdict_id": None, "at": None, "actor": None}
    assert {**kept, **of_keeping} == computed


async def test_a_policy_of_the_settings_is_used_by_its_name(make_api: Any) -> None:
    api = await make_api(gates={"release": {"max_drop": 0.2}})
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)

    body = await judge(api, job, baseline, policy="release")

    assert (body["verdict"], body["policy"]) == ("go", "release")


async def test_a_policy_may_be_part_of_the_request(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)
    policy = {"max_drop": 0.01, "rules": [{"task": "other", "missing": "ignore"}]}

    kept = await keep(api, job, baseline, policy=policy)
    computed = await judge(
        api, job, baseline, policy='{"max_drop": 0.01, "rules": [{"tier": "advisory"}]}'
    )

    assert (kept["verdict"], kept["not_judged"]) == ("inconclusive", ["mme"])
    assert computed["verdict"] == "inconclusive"
    assert computed["judgements"][0]["verdict"] == "breach"


async def test_the_baseline_may_be_the_step_before_or_the_best_of_all_before(api: Api) -> None:
    run = {"series": "run"}
    best = await run_scored(api, *RIGHT, **run, step=1)
    before = await run_scored(api, *WORSE, **run, step=2)
    job = await run_scored(api, *WORSE, **run, step=3)

    previous = await judge(api, job, "previous", max_drop="0.01")
    of_best = await judge(api, job, "best", max_drop="0.01")

    assert previous["baseline_id"] == before
    assert (of_best["baseline_id"], of_best["verdict"]) == (best, "no_go")


async def test_without_an_earlier_step_it_is_inconclusive(api: Api) -> None:
    job = await run_scored(api, *RIGHT, series="run", step=1)

    body = await keep(api, job, "previous", **STRICT)

    assert (body["verdict"], body["baseline_id"]) == ("inconclusive", None)
    assert "no earlier step of the series 'run' has completed" in body["reason"]


async def test_a_task_that_the_job_lacks_is_judged_as_the_policy_says(api: Api) -> None:
    baseline = await run_scored(api, *RIGHT, tasks=["mme", "ai2d"])
    job = await run_scored(api, *RIGHT)

    bodies = [
        await keep(api, job, baseline, policy={**STRICT, "missing": missing})
        for missing in ("inconclusive", "breach", "ignore")
    ]

    assert [body["verdict"] for body in bodies] == ["inconclusive", "no_go", "go"]


async def test_a_pruned_job_is_judged_by_its_numbers(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)
    await api.call("POST", f"/jobs/{job}/prune")

    body = await keep(api, job, baseline, **STRICT)

    assert body["verdict"] == "no_go"
    assert "was pruned with its samples" in body["judgements"][0]["reason"]


async def test_verdicts_are_listed_by_series_in_pages(api: Api) -> None:
    baseline = await run_scored(api, *RIGHT, series="run", step=1)
    job = await run_scored(api, *RIGHT, series="run", step=2)
    ids = [(await keep(api, job, baseline, **STRICT))["verdict_id"] for _ in range(3)]

    first = await api.call("GET", "/gate/verdicts?series=run&series=x&limit=2")
    second = await api.call("GET", f"/gate/verdicts?series=run&limit=2&cursor={first['next']}")

    found = [each["verdict_id"] for page in (first, second) for each in page["verdicts"]]
    assert (found, second["next"]) == (ids[::-1], None)
    assert (await api.call("GET", "/gate/verdicts?series=x"))["verdicts"] == []


async def test_numbers_of_an_erased_baseline_are_not_shown(api: Api) -> None:
    baseline, job = await run_scored(api, *RIGHT), await run_scored(api, *WORSE)
    kept = await keep(api, job, baseline, **STRICT)

    await api.call("POST", f"/jobs/{baseline}/erase")

    body = await api.call("GET", f"/gate/verdicts/{kept['verdict_id']}")
    assert (body["verdict"], body["judgements"]) == ("no_go", [])


async def test_a_job_that_is_not_completed_is_not_judged(api: Api) -> None:
    baseline = await run_scored(api, *RIGHT)
    job = await api.submit(model_args={"behave": "hang"})

    await judge(api, job, baseline, 409, max_drop="0.01")
    await judge(api, baseline, job, 409, max_drop="0.01")


@pytest.mark.parametrize("field", ["job", "baseline"])
async def test_a_job_that_does_not_exist_is_not_found(api: Api, field: str) -> None:
    job = await run_scored(api, *RIGHT)
    jobs = {"job": job, "baseline": job, field: "nothing"}

    await keep(api, **jobs, status=404, **STRICT)


async def test_an_unknown_verdict_is_not_found(api: Api) -> None:
    await api.call("GET", "/gate/verdicts/7", 404)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "max_drop"),
        ({"policy": "relase"}, "policy"),
        ({"policy": "release", "max_drop": 0.1}, "policy"),
        ({"policy": {}}, "policy.max_drop"),
        ({"policy": {"max_drop": 0.1, "rules": [{"tier": "x"}]}}, "policy.rules.0.tier"),
        ({"policy": {"max_drop": 0.1, "task": "a\nb"}}, "policy.rules.0.task"),
        ({"policy": 5}, "policy"),
        ({"max_drop": "0.1"}, "max_drop"),
        ({"max_drop": 0.1, "confidence": 95}, "confidence"),
        ({"max_drop": 0.1, "task": []}, "task"),
    ],
)
async def test_an_invalid_policy_is_rejected(make_api: Any, fields: Json, field: str) -> None:
    api = await make_api(gates={"release": {"max_drop": 0.2}})

    assert field in errors_of(await keep(api, "a", "b", 422, **fields))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"policy": "{"}, "policy"),
        ({"policy": "[]"}, "policy"),
        ({"policy": '{"max_drop": NaN}'}, "policy"),
        ({"max_drop": "nan"}, "max_drop"),
        ({"max_drop": "1e400"}, "max_drop"),
        ({"max_drop": "-1"}, "max_drop"),
        ({"max_drop": "x"}, "max_drop"),
    ],
)
async def test_an_invalid_policy_in_a_query_is_rejected(
    api: Api, query: dict[str, str], field: str
) -> None:
    assert field in errors_of(await judge(api, "a", "b", 422, **query))


async def test_a_job_is_not_judged_beside_itself(api: Api) -> None:
    assert "baseline" in errors_of(await judge(api, "a", "a", 422, max_drop="0.1"))


async def test_clients_that_collect_finished_jobs_get_each_once_also_if_it_is_judged(
    api: Api,
) -> None:
    first, second = await run_scored(api, *RIGHT), await run_scored(api, *RIGHT)
    await keep(api, first, second, **STRICT)
    collected = (await api.call("GET", "/jobs?finished_after=0"))["jobs"]
    cursor = collected[-1]["event_id"]
    await keep(api, second, first, **STRICT)
    third = await run_scored(api, *RIGHT)

    later = (await api.call("GET", f"/jobs?finished_after={cursor}"))["jobs"]

    assert [each["job_id"] for each in collected] == [first, second]
    assert [each["job_id"] for each in later] == [third]


async def test_a_client_that_continues_from_a_job_that_was_judged_later_misses_none(
    api: Api,
) -> None:
    first, second = await run_scored(api, *RIGHT), await run_scored(api, *RIGHT)
    await keep(api, first, second, **STRICT)
    judged = await api.job(first)

    later = (await api.call("GET", f"/jobs?finished_after={judged['event_id']}"))["jobs"]

    assert [each["job_id"] for each in later] == [second]
