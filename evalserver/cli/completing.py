"""What the shell offers when TAB is pressed: ids of jobs, names of tasks and models.

The server is asked, for a short time; when it cannot be, nothing is offered and nothing is said.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from evalserver.cli.start_up import leave_out_httpx_command

if TYPE_CHECKING:
    from evalserver.client import EvalClient

PATIENCE_SECONDS = 1.5
MOST_JOBS = 200


def complete_jobs(
    ctx: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """The newest jobs whose ids begin so; shells that show more are told what they are."""
    return _asked(ctx, lambda client: list(_jobs(client, begun)))


def complete_tasks(
    ctx: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Names of tasks that go on like the last of those that were begun, separated by commas."""
    before, comma, last = begun.rpartition(",")

    def matching(client: "EvalClient") -> list[CompletionItem]:
        names = client.list_tasks(engine=ctx.params.get("engine"))
        return _items(before + comma + name for name in names if name.startswith(last))

    return _asked(ctx, matching)


def complete_models(
    ctx: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Names of models that begin so."""

    def matching(client: "EvalClient") -> list[CompletionItem]:
        names = client.list_models(engine=ctx.params.get("engine"))
        return _items(name for name in names if name.startswith(begun))

    return _asked(ctx, matching)


def _asked(
    ctx: click.Context, ask: Callable[["EvalClient"], list[CompletionItem]]
) -> list[CompletionItem]:
    leave_out_httpx_command()
    logging.getLogger("evalserver.client").addHandler(logging.NullHandler())
    try:
        from evalserver.client import EvalClient

        url, token = ctx.params.get("url"), ctx.params.get("token")
        with EvalClient(url, PATIENCE_SECONDS, token, retry_for=0) as client:
            return ask(client)
    except Exception:
        # Whatever it is, somebody is in the middle of typing.
        return []


def _jobs(client: "EvalClient", begun: str) -> Iterable[CompletionItem]:
    for job in islice(client.jobs(), MOST_JOBS):
        if job["job_id"].startswith(begun.lower()):
            request = job["request"]
            about = f"{job['status']} {request['model']} {','.join(request['tasks'])}"
            yield CompletionItem(job["job_id"], help="".join(filter(str.isprintable, about)))


def _items(names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names]
