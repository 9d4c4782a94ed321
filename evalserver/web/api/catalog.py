"""The tasks and models that a harness knows."""

import structlog
from aiohttp import web

from evalserver.core.masking import mask_text
from evalserver.engines import Question, merge
from evalserver.harnesses.catalog import Refreshed
from evalserver.web.http.responses import json_response
from evalserver.web.keys import ARGS, CATALOG, ENGINES, QUERY, STORE
from evalserver.web.security.authorization import CALLER

log = structlog.get_logger("evalserver.web")


async def get_tasks(request: web.Request) -> web.Response:
    """``GET /tasks``: list the valid names in ``tasks``; ``?engine=`` selects an engine."""
    return json_response({"tasks": await _answer(request, Question.TASKS)})


async def get_models(request: web.Request) -> web.Response:
    """``GET /models``: list the valid names of ``model``; ``?engine=`` selects an engine."""
    return json_response({"models": await _answer(request, Question.MODELS)})


async def refresh_catalog(request: web.Request) -> web.Response:
    """``POST /catalog/refresh``: ask harnesses again for their tasks and models.

    Responds when all have answered, which may take minutes. The lists are also renewed by
    themselves when a version or the files of a harness or of the task definitions have changed.
    """
    actor, named = request[CALLER].name, request[QUERY].get("engine")
    names = [named] if named else [name for name in request.app[ENGINES] if name != merge.NAME]
    await request.app[STORE].server.note_catalog_refresh(actor, names)
    # One after the other: each runs an interpreter for seconds.
    found = [await request.app[CATALOG].refresh(name) for name in names]
    log.info("catalog refreshed", engines=names, by=actor)
    return json_response({"engines": [_refreshed_json(each) for each in found]})


def _refreshed_json(found: Refreshed) -> dict[str, object]:
    # The message of a harness that failed may contain secrets.
    error = None if found.error is None else mask_text(found.error)
    return {**vars(found), "seconds": round(found.seconds, 3), "error": error}


async def _answer(request: web.Request, question: Question) -> list[str]:
    engine = request[QUERY].get("engine", request.app[ARGS].default_engine)
    return await request.app[CATALOG].answer(engine, question)
