"""Finding names in a request that its harness does not know, before they cost a GPU."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping

from evalserver.core.in_steps import in_steps
from evalserver.core.request import EvaluateRequest
from evalserver.core.suggestions import closest_names
from evalserver.engines import Engine, Question
from evalserver.harnesses.catalog import Catalog

MAX_WITH_SUGGESTIONS = 10
"""Unknown names that get suggestions, which cost a tenth of a second each."""


async def find_unknown_names(
    catalog: Catalog, engine: Engine, requests: Mapping[str, EvaluateRequest]
) -> dict[str, str]:
    """Return the fields with names that the harness does not know, with a sentence for each.

    ``requests`` are of one engine; each has the prefix of its fields. Nothing is unknown until the
    harness has listed its names, and it is asked again before a name is reported.
    """
    faults: dict[str, str] = {}
    for question, names_of in ((Question.MODELS, _models), (Question.TASKS, _tasks)):
        known = catalog.known(engine.name, question)
        if await _find_unknown(engine, question, requests, names_of, known):
            known = await catalog.confirmed(engine.name, question)
            unknown = await _find_unknown(engine, question, requests, names_of, known)
            faults |= await asyncio.to_thread(_explain, engine, question, unknown, known)
    return faults


def _models(request: EvaluateRequest) -> Iterator[tuple[str, str]]:
    yield "model", request.model


def _tasks(request: EvaluateRequest) -> Iterator[tuple[str, str]]:
    # Task files were checked against the directories of --task-path when the request was parsed.
    for at, name in enumerate(request.tasks):
        if not name.startswith("/"):
            yield f"tasks.{at}", name


async def _find_unknown(
    engine: Engine,
    question: Question,
    requests: Mapping[str, EvaluateRequest],
    names_of: Callable[[EvaluateRequest], Iterator[tuple[str, str]]],
    known: Collection[str],
) -> dict[str, str]:
    unknown: dict[str, str] = {}
    if not known:
        return unknown
    async for prefix, request in in_steps(requests.items()):
        for field, name in names_of(request):
            if not engine.is_known(question, name, known):
                unknown[f"{prefix}{field}"] = name
    return unknown


def _explain(
    engine: Engine, question: Question, unknown: dict[str, str], known: Collection[str]
) -> dict[str, str]:
    what = question.value.removesuffix("s")
    sentences = {}
    suggested = list(dict.fromkeys(unknown.values()))[:MAX_WITH_SUGGESTIONS]
    closest = {name: list(map(repr, closest_names(name, known))) for name in suggested}
    for field, name in unknown.items():
        near = closest.get(name)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        sentences[field] = (
            f"{engine.name} knows no {what} {name!r}.{hint} GET /{question}?engine={engine.name} "
            f"(evalserver {question} --engine {engine.name}) lists all that it knows; "
            "?validate=false (evalserver submit --no-validate) skips this check."
        )
    return sentences
