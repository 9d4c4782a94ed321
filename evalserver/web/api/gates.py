"""Gates: whether a job is good enough beside a baseline, and the verdicts that were kept."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from evalserver.analysis.damage import INTERVALS
from evalserver.analysis.gate_policy import Policy
from evalserver.gates.baselines import NoBaseline, find_baseline
from evalserver.gates.judging import Judged, inconclusive, judge_evaluation
from evalserver.gates.policies import UnknownPolicy, find_policy
from evalserver.store import NEWEST_VERDICT, IllegalTransition, KeptVerdict
from evalserver.web.api.compared_jobs import load_evaluation
from evalserver.web.http.errors import BadRequest, FieldError
from evalserver.web.http.one_at_a_time import run_stoppable
from evalserver.web.http.responses import json_response
from evalserver.web.keys import BODY, COMPARISON_WORK, GATES, QUERY, STORE
from evalserver.web.schemas.compare_responses import formulas_json
from evalserver.web.schemas.gate_request import policy_of
from evalserver.web.schemas.gate_responses import KeptVerdictSchema
from evalserver.web.security.authorization import CALLER

log = structlog.get_logger("evalserver.web")

NO_REPORT: Mapping[str, Any] = {
    "rules": [],
    "judgements": [],
    "n_to_decide": None,
    "not_judged": [],
}
"""What is left of the numbers once the baseline was erased."""


async def get_gate(request: web.Request) -> web.Response:
    """``GET /gate``: judge a job beside a baseline, and keep nothing.

    A metric passes if the interval of its damage lies at or below the margin of its rule, and
    breaches the gate if it lies above. It is a go when every critical metric passes.
    """
    judged = await _judge(request, request[QUERY])
    new = vars(judged.to_keep())
    verdict = {name: new.get(name) for name in KeptVerdictSchema().fields}
    return json_response({**verdict, **_numbers(new["report"])})


async def judge_job(request: web.Request) -> web.Response:
    """``POST /gate``: judge a job as ``GET /gate`` does, keep the verdict, and record it in the
    audit log."""
    judged = await _judge(request, request[BODY])
    actor = request[CALLER].name
    try:
        kept = await request.app[STORE].gates.keep(judged.to_keep(), actor)
    except IllegalTransition as error:
        text = str(error)
        raise BadRequest(HTTPStatus.CONFLICT, f"{text[0].upper()}{text[1:]}") from None
    log.info("judged a job", job=kept.job_id, verdict=kept.verdict, by=actor)
    return json_response(gate_json(kept))


async def get_verdicts(request: web.Request) -> web.Response:
    """``GET /gate/verdicts``: the verdicts that were kept, the newest first."""
    query, gates = request[QUERY], request.app[STORE].gates
    most = query["limit"] + 1
    found = await gates.newest(
        most,
        query.get("cursor", NEWEST_VERDICT),
        job_id=query.get("job"),
        series=query.get("series"),
    )
    page = found[: query["limit"]]
    following = page[-1].verdict_id if len(found) > len(page) else None
    return json_response({"verdicts": [verdict_json(each) for each in page], "next": following})


async def get_verdict(request: web.Request) -> web.Response:
    """``GET /gate/verdicts/{verdict_id}``: a verdict that was kept, with its numbers."""
    text = request.match_info["verdict_id"]
    kept = await request.app[STORE].gates.find(int(text))
    if kept is None:
        raise BadRequest(HTTPStatus.NOT_FOUND, f"Verdict {text} not found, or its job was erased")
    return json_response(gate_json(kept))


def verdict_json(kept: KeptVerdict) -> dict[str, Any]:
    """Return a verdict without its numbers."""
    return {name: getattr(kept, name) for name in KeptVerdictSchema().fields}


def gate_json(kept: KeptVerdict) -> dict[str, Any]:
    """Return a verdict with its numbers; without those if the baseline was erased."""
    return {**verdict_json(kept), **_numbers(kept.report or NO_REPORT)}


def _numbers(report: Mapping[str, Any]) -> dict[str, Any]:
    return {**report, "methods": formulas_json(INTERVALS)}


async def _judge(request: web.Request, asked: Mapping[str, Any]) -> Judged:
    """Judge a job as a query or a body asks. Raises BadRequest, JobNotFound and JobPruned."""
    name, policy = _policy(request, asked)
    job = await load_evaluation(request, asked["job"])
    try:
        baseline_id = await find_baseline(
            request.app[STORE], job.job, job.metrics, asked["baseline"], policy
        )
    except NoBaseline as error:
        report = inconclusive(f"There is no baseline: {error}.")
        return Judged(job, None, policy, name, report)
    baseline = await load_evaluation(request, baseline_id)
    # Reading samples occupies a thread, so comparisons and verdicts run one at a time.
    report = await request.app[COMPARISON_WORK].run(
        request,
        lambda: run_stoppable(lambda stop: judge_evaluation(policy, baseline, job, stop.is_set)),
    )
    return Judged(job, baseline_id, policy, name, report)


def _policy(request: web.Request, asked: Mapping[str, Any]) -> tuple[str | None, Policy]:
    """Return the name of the policy, if it has one, and the policy. Raises BadRequest (422)."""
    found = policy_of(asked)
    if isinstance(found, Policy):
        return None, found
    try:
        return found, find_policy(found, request.app[GATES])
    except UnknownPolicy as error:
        fault = FieldError("policy", str(error))
        raise BadRequest(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), (fault,)) from None
