"""Finding names in a request that its harness does not know, before they cost a GPU."""

import asyncio
from collections.abc import Collection

from evalserver.core.request import EvaluateRequest
from evalserver.core.suggestions import closest_names
from evalserver.engines import Engine, Question
from evalserver.harnesses.catalog import Catalog

MAX_WITH_SUGGESTIONS = 10
"""Unknown names that get suggestions, which cost a tenth of a second each."""


async def find_unknown_names(
    catalog: Catalog, request: EvaluateRequest, engine: Engine
) -> dict[str, str]:
    """Return the fields with names that the harness does not know, with a sentence for each.

    Nothing is unknown until the harness has listed its names, and it is asked again before a name
    is reported.
    """
    # Task files were checked against the directories of --task-path when the request was parsed.
    tasks = {
        f"tasks.{at}": name for at, name in enumerate(request.tasks) if not name.startswith("/")
    }
    faults: dict[str, str] = {}
    for question, names in ((Question.MODELS, {"model": request.model}), (Question.TASKS, tasks)):
        if _find_unknown(engine, question, names, catalog.known(engine.name, question)):
            known = await catalog.confirmed(engine.name, question)
            unknown = _find_unknown(engine, question, names, known)
            faults |= await asyncio.to_thread(_explain, engine, question, unknown, known)
    return faults


def _find_unknown(
    engine: Engine, question: Question, names: dict[str, str], known: Collection[str]
) -> dict[str, str]:
    if not known:
        return {}
    return {
        field: name for field, name in names.items() if not engine.is_known(question, name, known)
    }


def _explain(
    engine: Engine, question: Question, unknown: dict[str, str], known: Collection[str]
) -> dict[str, str]:
    what = question.value.removesuffix("s")
    sentences = {}
    for at, (field, name) in enumerate(unknown.items()):
        near = (
            [repr(each) for each in closest_names(name, known)] if at < MAX_WITH_SUGGESTIONS else []
        )
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        sentences[field] = (
            f"{engine.name} knows no {what} {name!r}.{hint} GET /{question}?engine={engine.name} "
            "lists all that it knows; ?validate=false (evalserver submit --no-validate) skips this "
            "check."
        )
    return sentences
