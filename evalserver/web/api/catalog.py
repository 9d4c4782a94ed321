"""The tasks and models that a harness knows."""

from aiohttp import web

from evalserver.engines import Question
from evalserver.web.http.responses import json_response
from evalserver.web.keys import ARGS, CATALOG, QUERY


async def get_tasks(request: web.Request) -> web.Response:
    """``GET /tasks``: list the valid names in ``tasks``; ``?engine=`` selects an engine."""
    return json_response({"tasks": await _answer(request, Question.TASKS)})


async def get_models(request: web.Request) -> web.Response:
    """``GET /models``: list the valid names of ``model``; ``?engine=`` selects an engine."""
    return json_response({"models": await _answer(request, Question.MODELS)})


async def _answer(request: web.Request, question: Question) -> list[str]:
    engine = request[QUERY].get("engine", request.app[ARGS].default_engine)
    return await request.app[CATALOG].answer(engine, question)
