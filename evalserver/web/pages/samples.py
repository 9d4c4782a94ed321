"""``GET /ui/jobs/{job_id}/samples/{task}``: what the model answered, read by people."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web
from marshmallow import pre_load

from evalserver.web.api.artifacts import get_artifacts
from evalserver.web.api.samples import SamplesQuerySchema, get_samples
from evalserver.web.http.errors import BadRequest
from evalserver.web.keys import QUERY
from evalserver.web.pages.rendering import answer, page

SAMPLES_OF_A_PAGE = 10
MOST_IMAGES = 8
LONGEST_TEXT = 4000
DEEPEST = 12

DATA_URL = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]{16,}")
BARE: Mapping[str, str] = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg"}
"""How PNG and JPEG files begin in base64."""
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{64,}")
IMAGE_FILE = re.compile(r"\.(?:png|jpe?g|gif|webp)$", re.IGNORECASE)

QUESTIONS = ("input", "question", "query", "prompt", "problem", "instruction", "text")
ANSWERS = ("filtered_resps", "resps")


class SamplesPageQuerySchema(SamplesQuerySchema):
    """The query of the page: that of the API; what a form leaves empty is not asked for."""

    @pre_load
    def _empty_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value != ""}


async def get_samples_page(request: web.Request) -> web.Response:
    """``GET /ui/jobs/{job_id}/samples/{task}``: a page of samples, with their images."""
    asked = request[QUERY]
    query = {"limit": SAMPLES_OF_A_PAGE, **asked}
    found = await answer(request, get_samples, **query)
    files = await _image_files(request)
    return page(
        request,
        "samples.html",
        found=found,
        samples=[_seen(sample, files) for sample in found["samples"]],
        query=query,
    )


def _seen(sample: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """What a person wants to see of a sample."""
    values = sample["sample"] or {}
    return {
        **sample,
        "question": _short(_question(values)),
        "target": _short(_text(values.get("target"))),
        "answer": _short(_answer(values)),
        "images": _images(values, files),
        "raw": _without_images(values),
    }


def _question(values: Mapping[str, Any]) -> str:
    places = [values, values.get("doc")]
    for place in places:
        if isinstance(place, dict):
            for name in QUESTIONS:
                if isinstance(place.get(name), str) and place[name].strip():
                    return str(place[name])
    return ""


def _answer(values: Mapping[str, Any]) -> str:
    for name in ANSWERS:
        if values.get(name):
            return _text(values[name])
    return ""


def _text(value: Any) -> str:
    """A text, also one that lies alone in lists."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        return "\n".join(_text(each) for each in value)
    return "" if value is None else str(value)


def _short(text: str) -> str:
    text = DATA_URL.sub("[image]", text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _images(values: Mapping[str, Any], files: Mapping[str, str]) -> list[str]:
    """Addresses of the images that a sample has, or names among the job's files."""
    found: dict[str, None] = {}
    for text in _texts(values):
        for url in _urls(text, files):
            found.setdefault(url)
            if len(found) == MOST_IMAGES:
                return list(found)
    return list(found)


def _urls(text: str, files: Mapping[str, str]) -> Iterator[str]:
    yield from DATA_URL.findall(text)
    for begins, media_type in BARE.items():
        if text.startswith(begins) and BASE64.fullmatch(text):
            yield f"data:{media_type};base64,{text}"
    if IMAGE_FILE.search(text):
        for path, url in files.items():
            if text == path or text.endswith(f"/{path}"):
                yield url


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < DEEPEST:
        below = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        for each in below:
            yield from _texts(each, depth + 1)


def _without_images(value: Any, depth: int = 0) -> Any:
    """The same, with the images named in place of shown as thousands of letters."""
    if isinstance(value, str):
        bare = any(value.startswith(each) for each in BARE) and BASE64.fullmatch(value)
        return "[image]" if bare else DATA_URL.sub("[image]", value)
    if depth < DEEPEST and isinstance(value, dict):
        return {key: _without_images(each, depth + 1) for key, each in value.items()}
    if depth < DEEPEST and isinstance(value, list):
        return [_without_images(each, depth + 1) for each in value]
    return value


async def _image_files(request: web.Request) -> dict[str, str]:
    """The addresses of the job's image files by their paths."""
    try:
        listed = await answer(request, get_artifacts)
    except BadRequest:
        return {}
    return {
        each["path"]: each["url"]
        for each in listed["artifacts"]
        if each["content_type"].startswith("image/")
    }
