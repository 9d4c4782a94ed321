"""``GET /ui/jobs/{job_id}/samples/{task}``: a task's samples with questions, answers and images."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

from evalserver.core.job import Job
from evalserver.web.api.artifacts import get_artifacts
from evalserver.web.api.results import load_requested_job
from evalserver.web.api.samples import SamplesQuerySchema, get_samples
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import ENGINES, QUERY
from evalserver.web.pages.rendering import call_api, job_json, render_page
from evalserver.web.pages.sample_counts import count_samples, has_epochs
from evalserver.web.pages.samples_form import MAX_BACK, SamplesFormSchema

PAGE_SIZE = 10
KEPT = ("only", "metric", "filter")
"""What links to other pages keep of the query."""
MAX_IMAGES = 8
TEXT_START, TEXT_END = 1000, 2000
"""Characters of a long text that are shown: answers have their conclusion at the end."""
MAX_DEPTH = 12

DATA_URL = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]{16,}")
BASE64_PREFIXES: Mapping[str, str] = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg"}
"""The first characters of PNG and JPEG files in base64."""
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{64,}")
IMAGE_FILE = re.compile(r"\.(?:png|jpe?g|gif|webp)$", re.IGNORECASE)

QUESTION_KEYS = ("input", "question", "query", "prompt", "problem", "instruction", "text")
ANSWER_KEYS = ("filtered_resps", "resps")


class SamplesPageQuerySchema(SamplesFormSchema, SamplesQuerySchema):
    """The page's query: the API's, from a form."""


async def get_samples_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs/{job_id}/samples/{task}``: one page of samples."""
    requested: Mapping[str, Any] = request[QUERY]
    query = {"limit": PAGE_SIZE, **requested}
    back = query.pop("back")
    result = await call_api(request, get_samples, **query)
    job, metrics = await load_requested_job(request)
    of_task = [metric for metric in metrics if metric.task == result["task"]]
    files = await _load_image_files(request)
    filters = sorted({metric.filter for metric in of_task})
    samples = [present_sample(sample, files) for sample in result["samples"]]
    in_epochs = has_epochs(job.request.harness_args or {}, filters, samples)
    is_countable = not result["findings"] and not in_epochs
    return render_page(
        request,
        "samples.html",
        job=await job_json(request, job, None),
        tasks=sample_tasks(request, job),
        filters=filters,
        in_epochs=in_epochs,
        counts=count_samples(of_task, result["metric"], query) if is_countable else None,
        result=result,
        samples=samples,
        query=query,
        pages=page_queries(query, KEPT, back, result["next"]),
        link=lambda **parts: str(request.rel_url.with_query(given_parts(parts))),
    )


def sample_tasks(request: web.Request, job: Job) -> list[str]:
    """Return the tasks of which a job has samples, those of its request first, in its order."""
    engine = request.app[ENGINES].get(job.engine)
    files = engine.samples_files(job.result or {}) if engine else {}
    order = {task: position for position, task in enumerate(job.request.tasks)}
    return sorted(files, key=lambda task: (order.get(task, len(order)), task))


def page_queries(
    query: Mapping[str, Any], names: Iterable[str], back: list[str], following: str | None
) -> dict[str, dict[str, Any]]:
    """Return the queries of the first, the previous and the next page, as far as there are any.

    Each keeps these names of the query.
    """
    cursor = query.get("cursor")
    kept = {name: query.get(name) for name in names}
    pages = {}
    if cursor is not None:
        pages["first"] = kept
        pages["previous"] = {**kept, "cursor": back[-1], "back": back[:-1]} if back else kept
    if following is not None:
        behind = [*back, cursor][-MAX_BACK:] if cursor is not None else []
        pages["next"] = {**kept, "cursor": following, "back": behind}
    return pages


def given_parts(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the parts of a query that are given, those of a list one by one."""
    return [
        (name, each)
        for name, value in parts.items()
        if value is not None
        for each in (value if isinstance(value, list) else [value])
    ]


def present_sample(sample: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Return a sample with its question, target, answer and images extracted."""
    values = sample["sample"] or {}
    return {
        **sample,
        "filter": values.get("filter"),
        "epoch": values.get("epoch"),
        "question": _shorten(_find_question(values)),
        "target": _shorten(_to_text(values.get("target"))),
        "answer": _shorten(_find_answer(values)),
        "images": _find_images(values, files),
        "raw": _strip_images(values),
    }


def _find_question(values: Mapping[str, Any]) -> str:
    for place in (values, values.get("doc")):
        if isinstance(place, dict):
            for name in QUESTION_KEYS:
                if isinstance(place.get(name), str) and place[name].strip():
                    return str(place[name])
    return ""


def _find_answer(values: Mapping[str, Any]) -> str:
    for name in ANSWER_KEYS:
        if values.get(name):
            return _to_text(values[name])
    return ""


def _to_text(value: Any) -> str:
    """Return a value as text; lists of one element are unwrapped."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        return "\n".join(_to_text(each) for each in value)
    return "" if value is None else str(value)


def _shorten(text: str) -> str:
    text = DATA_URL.sub("[image]", text)
    omitted = len(text) - TEXT_START - TEXT_END
    if omitted <= 0:
        return text
    return f"{text[:TEXT_START]}\n[… {omitted} characters …]\n{text[-TEXT_END:]}"


def _find_images(values: Mapping[str, Any], files: Mapping[str, str]) -> list[str]:
    """Return URLs of the images that a sample contains or that it names among the job's files."""
    found: dict[str, None] = {}
    for text in _iter_texts(values):
        for url in _image_urls(text, files):
            found.setdefault(url)
            if len(found) == MAX_IMAGES:
                return list(found)
    return list(found)


def _image_urls(text: str, files: Mapping[str, str]) -> Iterator[str]:
    yield from DATA_URL.findall(text)
    for prefix, media_type in BASE64_PREFIXES.items():
        if text.startswith(prefix) and BASE64.fullmatch(text):
            yield f"data:{media_type};base64,{text}"
    if IMAGE_FILE.search(text):
        for path, url in files.items():
            if text == path or text.endswith(f"/{path}"):
                yield url


def _iter_texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < MAX_DEPTH:
        children = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        for each in children:
            yield from _iter_texts(each, depth + 1)


def _strip_images(value: Any, depth: int = 0) -> Any:
    """Return the value with base64 images replaced by a placeholder."""
    if isinstance(value, str):
        is_image = value.startswith(tuple(BASE64_PREFIXES)) and BASE64.fullmatch(value)
        return "[image]" if is_image else DATA_URL.sub("[image]", value)
    if depth < MAX_DEPTH and isinstance(value, dict):
        return {key: _strip_images(each, depth + 1) for key, each in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list):
        return [_strip_images(each, depth + 1) for each in value]
    return value


async def _load_image_files(request: web.Request) -> dict[str, str]:
    """Return the URLs of the job's image files by path."""
    try:
        listed = await call_api(request, get_artifacts)
    except BadRequest:
        return {}
    return {
        each["path"]: each["url"]
        for each in listed["artifacts"]
        if each["content_type"].startswith("image/")
    }
