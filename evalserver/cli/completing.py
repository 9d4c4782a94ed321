"""Shell completion of job ids, task names and model names.

The names come from the server, with a short timeout. Without a server there are no completions.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from evalserver.cli import cells
from evalserver.cli.start_up import disable_httpx_command
from evalserver.core.job_id import short_job_id

if TYPE_CHECKING:
    from evalserver.client import EvalClient

TIMEOUT_SECONDS = 1.5
MAX_JOBS = 200


def complete_jobs(
    ctx: click.Context, _parameter: click.Parameter, prefix: str
) -> list[CompletionItem]:
    """Complete the ids of the newest jobs, with a description for shells that show one."""
    return _query(ctx, lambda client: list(_jobs(client, prefix)))


def complete_tasks(
    ctx: click.Context, _parameter: click.Parameter, prefix: str
) -> list[CompletionItem]:
    """Complete the last of several task names, which are separated by commas."""
    earlier, comma, last = prefix.rpartition(",")

    def matching(client: "EvalClient") -> list[CompletionItem]:
        names = client.list_tasks(engine=ctx.params.get("engine"))
        return _items(earlier + comma + name for name in names if name.startswith(last))

    return _query(ctx, matching)


def complete_models(
    ctx: click.Context, _parameter: click.Parameter, prefix: str
) -> list[CompletionItem]:
    """Complete the name of a model."""

    def matching(client: "EvalClient") -> list[CompletionItem]:
        names = client.list_models(engine=ctx.params.get("engine"))
        return _items(name for name in names if name.startswith(prefix))

    return _query(ctx, matching)


def _query(
    ctx: click.Context, query: Callable[["EvalClient"], list[CompletionItem]]
) -> list[CompletionItem]:
    disable_httpx_command()
    logging.getLogger("evalserver.client").addHandler(logging.NullHandler())
    try:
        from evalserver.client import EvalClient

        url, token = ctx.params.get("url"), ctx.params.get("token")
        with EvalClient(url, TIMEOUT_SECONDS, token, retry_for=0) as client:
            return query(client)
    except Exception:
        # An error message would disturb the command line that is being typed.
        return []


def _jobs(client: "EvalClient", prefix: str) -> Iterable[CompletionItem]:
    for job in islice(client.jobs(), MAX_JOBS):
        request = job["request"]
        about = f"{job['status']} {cells.model(request)} {cells.tasks(request['tasks'])}"
        for name in _names(job["job_id"], prefix.lower()):
            yield CompletionItem(name, help=about)


def _names(job_id: str, prefix: str) -> Iterable[str]:
    """The names of a job that begin so: its short id, and, if it was begun, its whole id."""
    if short_job_id(job_id).startswith(prefix):
        yield short_job_id(job_id)
    if prefix and job_id.startswith(prefix):
        yield job_id


def _items(names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names]
