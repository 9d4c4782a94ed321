"""Refusing what is doomed before it costs a GPU: names that nobody knows, checkpoints not there."""

import asyncio
from collections.abc import Collection
from typing import Any

from aiohttp import web

from evalserver.checkpoints import local_checkpoints, may_have_checkpoints, why_not
from evalserver.engines import Engine, Question
from evalserver.job import EvaluateRequest
from evalserver.names import nearest
from evalserver.provenance import at_submission
from evalserver.web.admission import refused
from evalserver.web.keys import CATALOG

MOST_NAMED = 10
"""Unknown names for which others are looked up: that costs a tenth of a second each."""


async def require_promising(request: web.Request, wanted: EvaluateRequest, engine: Engine) -> None:
    """Raise BadRequest (422), with every fault at once, if the request cannot come to anything.

    Names are refused once the harness has told those that it knows, and told them again.
    """
    faults = dict(await _unknown(request, Question.MODELS, {"model": wanted.model}, engine))
    # Files of tasks are held against the directories of --task-path elsewhere.
    tasks = {
        f"tasks.{at}": name for at, name in enumerate(wanted.tasks) if not name.startswith("/")
    }
    faults |= await _unknown(request, Question.TASKS, tasks, engine)
    if wanted.wait_for_path_s is None:
        faults |= await _not_there(wanted)
    if faults:
        raise refused(faults)


async def _unknown(
    request: web.Request, question: Question, names: dict[str, str], engine: Engine
) -> dict[str, str]:
    catalog = request.app[CATALOG]
    if not _strangers(engine, question, names, catalog.known(engine.name, question)):
        return {}
    known = await catalog.confirmed(engine.name, question)
    strangers = _strangers(engine, question, names, known)
    return await asyncio.to_thread(_explained, engine, question, strangers, known)


def _strangers(
    engine: Engine, question: Question, names: dict[str, str], known: Collection[str]
) -> dict[str, str]:
    if not known:
        return {}
    return {
        field: name for field, name in names.items() if not engine.is_known(question, name, known)
    }


def _explained(
    engine: Engine, question: Question, strangers: dict[str, str], known: Collection[str]
) -> dict[str, str]:
    what = question.value.removesuffix("s")
    told = {}
    for at, (field, name) in enumerate(strangers.items()):
        near = [repr(each) for each in nearest(name, known)] if at < MOST_NAMED else []
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        told[field] = (
            f"{engine.name} knows no {what} {name!r}.{hint} GET /{question}?engine={engine.name} "
            "lists all that it knows; ?validate=false submits it all the same."
        )
    return told


async def seen_checkpoints(wanted: EvaluateRequest) -> dict[str, Any] | None:
    """What is kept with a job of the checkpoints that it names, as they are now.

    Of those that are still being written, nothing.
    """
    if wanted.wait_for_path_s is not None or not may_have_checkpoints(wanted.model_args):
        return None
    return await asyncio.to_thread(at_submission, wanted.model_args)


async def _not_there(wanted: EvaluateRequest) -> dict[str, str]:
    if not may_have_checkpoints(wanted.model_args):
        return {}
    return await asyncio.to_thread(_missing, wanted)


def _missing(wanted: EvaluateRequest) -> dict[str, str]:
    return {
        f"model_args.{key}": (
            f"{path} {reason}, on the server's machine. wait_for_path_s waits for one that is "
            "still being written; ?validate=false submits it all the same."
        )
        for key, path in local_checkpoints(wanted.model_args).items()
        if (reason := why_not(path)) is not None
    }
