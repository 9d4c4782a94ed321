"""Queueing several evaluations with ``evalserver submit``: all of them or none."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from evalserver.cli.arguments import guess_value, split_commas
from evalserver.cli.batch_waiting import wait_for_batch
from evalserver.cli.connection import Server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, to_failure
from evalserver.cli.screens import print_hint, print_json, print_json_line
from evalserver.cli.values import json_list
from evalserver.cli.waiting import Waiting, wait_for
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.request_fields import Kind

Fields = dict[str, Any]
Batch = dict[str, Any]
"""The body of a batch: ``jobs``, or a ``sweep``."""

MAX_SHOWN = 50
"""Jobs of a batch whose metrics are shown at its end; of a larger one, how many ended how."""


def parse_sweeps(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Parse ``field=a,b,c`` or ``field.name=a,b,c``, each given once. Raises ValueError."""
    over: dict[str, list[Any]] = {}
    for text in texts:
        path, sign, values = text.partition("=")
        if not (sign and path and values):
            raise ValueError(f"{text!r} is not KEY=A,B,C")
        if path in over:
            raise ValueError(f"{path!r} is given twice")
        over[path] = _parse_values(path, values)
    return over


def submit_batch(
    server: Server,
    batch: Batch,
    key: str,
    waiting: Waiting | None,
    *,
    validate: bool,
    as_json: bool,
) -> None:
    """Queue the jobs, and print their ids; with ``waiting``, wait for their end."""
    from evalserver.client import RequestFailed, ServerUnreachable

    with server.client() as client:
        try:
            response = client.submit_batch(**batch, validate=validate, idempotency_key=key)
        except KeyboardInterrupt:
            message = f"Interrupted; 'evalserver jobs' shows what was queued. {_retry_hint(key)}"
            raise Failure(message, ExitCode.INTERRUPTED) from None
        except (RequestFailed, ServerUnreachable) as error:
            failure = to_failure(error)
            if failure.code is not ExitCode.UNREACHABLE:
                raise failure from error
            message = f"{failure.message}\nAll are queued, or none. {_retry_hint(key)}"
            raise Failure(message, failure.code) from error
    batch_id, job_ids = response["batch_id"], response["job_ids"]
    if waiting is not None:
        if len(job_ids) > MAX_SHOWN:
            code = wait_for_batch(server, batch_id, waiting, as_json=as_json)
        else:
            again = f"--batch {batch_id}"
            code = wait_for(server, job_ids, waiting, as_json=as_json, again=again)
        raise click.exceptions.Exit(code)
    if as_json:
        print_json(response)
        return
    click.echo("\n".join(job_ids))
    message = f"{len(job_ids)} jobs queued."
    print_hint(lambda: f"{message} Follow with: evalserver wait --batch {batch_id}")


def print_requests(server: Server, batch: Batch, *, validate: bool, as_json: bool) -> None:
    """Print the requests of a batch, as the server has expanded and checked them."""
    with server.client() as client:
        found = client.submit_batch(**batch, validate=validate, dry_run=True)
    if as_json:
        print_json(found["jobs"])
        return
    for request in found["jobs"]:
        print_json_line(request)
    print_hint(lambda: f"{found['count']} jobs; nothing was queued.")


def _parse_values(path: str, text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        return json_list(text)
    values: Sequence[str] = split_commas(text)
    kind = _kind(path)
    if kind is Kind.NAMES:
        return [[value] for value in values]
    is_text = kind in (Kind.NAME, Kind.LABELS, Kind.ENGINE, Kind.CHOICE)
    return [value if is_text else guess_value(value) for value in values]


def _kind(path: str) -> Kind | None:
    rows: Mapping[str, Any] = REQUEST_FIELDS
    row = rows.get(path.partition(".")[0])
    return None if row is None else row.kind


def _retry_hint(key: str) -> str:
    return f"To submit again without duplicates, add: --idempotency-key {key}"
