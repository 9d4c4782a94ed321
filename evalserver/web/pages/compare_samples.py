"""``GET /ui/compare/samples/{task}``: the answers of two jobs side by side, flips first."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from evalserver.core.job import Job
from evalserver.outputs import Change
from evalserver.web.api.compare_samples import CompareSamplesQuerySchema, get_sample_differences
from evalserver.web.keys import QUERY, STORE
from evalserver.web.pages.rendering import call_api, render_page
from evalserver.web.pages.samples import given_parts, page_queries, present_sample
from evalserver.web.pages.samples_form import SamplesFormSchema

PAGE_SIZE = 10

NAMES = ("metric", "filter", "job_task", "job_metric", "job_filter")
"""What every link of the page keeps of its query."""
STATES = ("any", "right", "wrong", "missing")

CHANGES: Mapping[Change, tuple[str, tuple[str, str] | None]] = {
    Change.RIGHT_TO_WRONG: ("Correct to incorrect", ("right", "wrong")),
    Change.WRONG_TO_RIGHT: ("Incorrect to correct", ("wrong", "right")),
    Change.LOWER: ("Lower score", None),
    Change.HIGHER: ("Higher score", None),
    Change.BOTH_WRONG: ("Incorrect in both", ("wrong", "wrong")),
    Change.BOTH_RIGHT: ("Correct in both", ("right", "right")),
    Change.EQUAL: ("Same score", None),
    Change.UNJUDGED: ("Not judged", None),
    Change.ONLY_BASELINE: ("Only in the baseline", ("any", "missing")),
    Change.ONLY_JOB: ("Only in the other job", ("missing", "any")),
}
"""How the page names each change, and the filters of both jobs that select it alone."""


class CompareSamplesPageQuerySchema(SamplesFormSchema, CompareSamplesQuerySchema):
    """The page's query: the API's, from a form."""


async def get_compare_samples_page(request: web.Request) -> web.Response:
    """``GET /ui/compare/samples/{task}``: a page of documents with the answers of two jobs."""
    requested: Mapping[str, Any] = request[QUERY]
    query = {**requested, "limit": PAGE_SIZE}
    back = query.pop("back")
    result = await call_api(request, get_sample_differences, **query)
    jobs = [await request.app[STORE].queries.job(each["job_id"]) for each in result["jobs"]]
    kept = ("job", "baseline_is", "job_is", *NAMES)
    return render_page(
        request,
        "compare_samples.html",
        result=result,
        jobs=[{**each, **_shown_of(job)} for each, job in zip(result["jobs"], jobs, strict=True)],
        documents=[_present(document) for document in result["documents"]],
        chips=list(_change_chips(result["counts"])),
        states=STATES if _has_verdicts(result["counts"]) else ("any", "missing"),
        query=query,
        pages=page_queries(query, kept, back, result["next"]),
        # Other filters begin at the first page.
        select=lambda **states: _link(request, {name: query.get(name) for name in kept} | states),
        link=lambda **parts: _link(request, parts),
    )


def _shown_of(job: Job) -> dict[str, Any]:
    """Return what the page shows of a job itself."""
    return {
        "request": asdict(job.request),
        "labels": job.labels,
        "series": job.series,
        "step": job.step,
    }


def _link(request: web.Request, parts: Mapping[str, Any]) -> str:
    return str(request.rel_url.with_query(given_parts(parts)))


def _present(document: Mapping[str, Any]) -> dict[str, Any]:
    sides = [document[name] and present_sample(document[name], {}) for name in ("baseline", "job")]
    present = next(side for side in sides if side)
    return {
        "change": CHANGES[Change(document["change"])][0],
        "kind": document["change"],
        "paired_by": document["paired_by"],
        "ids": list(dict.fromkeys(_id(side) for side in sides if side)),
        "question": present["question"],
        "images": present["images"],
        "target": present["target"],
        "sides": sides,
    }


def _id(sample: Mapping[str, Any]) -> str:
    return str(sample["index"] if sample["doc_id"] is None else sample["doc_id"])


def _change_chips(counts: Mapping[str, int]) -> Iterator[tuple[str, int, tuple[str, str] | None]]:
    """Yield the name, the number of documents and the filters of each change that there is."""
    for change, (name, states) in CHANGES.items():
        if counts[change]:
            yield name, counts[change], states


def _has_verdicts(counts: Mapping[str, int]) -> bool:
    judged = (
        Change.RIGHT_TO_WRONG, Change.WRONG_TO_RIGHT, Change.BOTH_WRONG, Change.BOTH_RIGHT,
    )  # fmt: skip
    return any(counts[change] for change in judged)
