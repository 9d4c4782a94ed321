"""``evalserver submit``: queueing evaluations, and optionally waiting for them."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells, values
from evalserver.cli.connection import Server, print_to_stderr, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure
from evalserver.cli.request_options import with_request
from evalserver.cli.screens import as_json, print_hint, print_json
from evalserver.cli.submit_batch import parse_sweeps, print_requests, submit_batch
from evalserver.cli.values import parse_with
from evalserver.cli.waiting import Waiting, wait_for, with_waiting

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Fields = dict[str, Any]

MERGED_FIELDS = ("model_args", "harness_args", "labels")
"""Options add to these fields of a file; other fields are replaced as a whole."""


@click.command(
    # Users of lmms-eval write --model_args.
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")}
)
@with_request
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="An lmms-eval --config file (YAML): one evaluation, or a list; or requests as JSON, one"
    " per line (.jsonl). Options override it. Of several evaluations, all are queued or none.",
)
@click.option(
    "--sweep",
    "over",
    metavar="KEY=A,B,C",
    multiple=True,
    callback=parse_with(parse_sweeps),
    help="Queue a job for each value of KEY, a field or a part of one, such as tasks,"
    " model_args.temperature or labels.run. Several are crossed. Values that contain commas are"
    " given as a JSON array.",
)
@click.option(
    "--lenient", is_flag=True, help="Ignore keys of FILE that the server does not support."
)
@click.option(
    "--wait", "-w", "waits", is_flag=True, help="Wait for the job, as 'evalserver wait' does."
)
@with_waiting()
@click.option(
    "--idempotency-key",
    metavar="KEY",
    callback=parse_with(values.key),
    help="A repeated call with the same key queues no second job.",
)
@click.option(
    "--no-validate",
    is_flag=True,
    help="Queue it also with a model or task that the server does not know, or a checkpoint that is"
    " not there.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the command line that the server would run, or the requests of a sweep; queue"
    " nothing.",
)
@click.option("--print-request", is_flag=True, help="Print the request; send nothing.")
@as_json
@with_server
def submit(
    server: Server,
    fields: Fields,
    config: str | None,
    over: dict[str, list[Any]],
    lenient: bool,
    waits: bool,
    waiting: Waiting,
    idempotency_key: str | None,
    no_validate: bool,
    dry_run: bool,
    print_request: bool,
    as_json: bool,
) -> None:
    """Queue an evaluation, and print its job's id.

    \b
    evalserver submit -m qwen2_5_vl -a pretrained=Qwen/Qwen2.5-VL-3B-Instruct -t mme --limit 8
    evalserver submit --config run.yaml --wait
    evalserver submit -m dummy --sweep tasks=mme,ocrbench --sweep gen_kwargs.temperature=0,1
    """
    requests, is_list = _requests(fields, config, over, lenient=lenient)
    key = idempotency_key or uuid.uuid4().hex
    if over or len(requests) > 1:
        batch = {"sweep": {"base": requests[0], "over": over}} if over else {"jobs": requests}
        if print_request:
            print_json(batch["sweep"] if over else requests)
        elif dry_run and over:
            print_requests(server, batch, validate=not no_validate, as_json=as_json)
        elif dry_run:
            _print_plans(server, requests, is_list, validate=not no_validate, as_json=as_json)
        else:
            wanted = waiting if waits else None
            submit_batch(server, batch, key, wanted, validate=not no_validate, as_json=as_json)
        return
    if print_request:
        print_json(requests if is_list else requests[0])
        return
    if dry_run:
        _print_plans(server, requests, is_list, validate=not no_validate, as_json=as_json)
        return
    with server.client() as client:
        response = _submit(client, requests[0], key, validate=not no_validate)
    job_id = response["job_id"]
    if job_id is None and not as_json:
        print_to_stderr(response["message"])
        return
    if waits and job_id is not None:
        raise click.exceptions.Exit(wait_for(server, [job_id], waiting, as_json=as_json))
    if as_json:
        print_json([response] if is_list else response)
        return
    click.echo(job_id)
    ahead = response["position_in_queue"]
    print_hint(lambda: f"Queued, {ahead} ahead. Follow with: evalserver wait {job_id}")


def _print_plans(
    server: Server, requests: Sequence[Fields], is_list: bool, *, validate: bool, as_json: bool
) -> None:
    """Print what the server would run for each request."""
    with server.client() as client:
        plans = [client.evaluate(**each, validate=validate, dry_run=True) for each in requests]
    if as_json:
        print_json(plans if is_list else plans[0])
        return
    click.echo("\n\n".join(map(_describe_plan, plans)))


def _describe_plan(plan: Fields) -> str:
    """Format a command line for a shell, with what belongs to it as comments."""
    files = [f"# with the file {cells.text(name)}" for name in plan["files"]]
    place = f"# in the directory {cells.text(plan['directory'])}"
    return "\n".join([place, *files, cells.text(plan["shell"])])


def _requests(
    fields: Fields, config: str | None, over: Mapping[str, Any], *, lenient: bool
) -> tuple[list[Fields], bool]:
    """Return the requests to submit, and whether they came as a list; of a sweep, its base."""
    if config is None:
        return [_require_complete(fields, "", over)], False
    from evalserver.cli.run_file import InvalidRunFile, read_run_file, read_text

    try:
        found = read_run_file(*read_text(config), lenient=lenient)
    except OSError as error:
        raise Failure(f"cannot read {config}: {error.strerror}", ExitCode.USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{config} is not UTF-8 text", ExitCode.USAGE) from error
    except InvalidRunFile as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    if found.ignored:
        print_to_stderr(f"Ignored, not sent to the server: {', '.join(found.ignored)}")
    several = len(found.requests) > 1
    if several and over:
        raise click.UsageError("--sweep varies one evaluation; the --config file has several.")
    requests = [
        _require_complete(_override(request, fields), f" in entry {at}" if several else "", over)
        for at, request in enumerate(found.requests, 1)
    ]
    return requests, found.is_list


def _override(request: Fields, fields: Fields) -> Fields:
    merged = {
        name: {**request[name], **fields[name]}
        for name in MERGED_FIELDS
        if isinstance(request.get(name), dict) and name in fields
    }
    return {**request, **fields, **merged}


def _require_complete(fields: Fields, where: str, over: Mapping[str, Any]) -> Fields:
    """Return the fields. Raises Failure if one is missing, which the sweep does not have either, or
    if they cannot be sent."""
    for name in ("model", "tasks"):
        if not fields.get(name) and name not in over:
            raise Failure(
                f"--{name} is missing{where}; give the option, or a --config file that has it",
                ExitCode.USAGE,
            )
    try:
        json.dumps(fields, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = f"the request{where} is not UTF-8 text"
        raise Failure(message, ExitCode.USAGE) from None
    except (TypeError, ValueError, RecursionError) as error:
        advice = "numbers must be finite, and dates in quotes"
        message = f"the request{where} cannot be sent as JSON ({error}); {advice}"
        raise Failure(message, ExitCode.USAGE) from None
    return fields


def _submit(client: "EvalClient", request: Fields, key: str, *, validate: bool) -> Fields:
    try:
        return client.evaluate(**request, validate=validate, idempotency_key=key)
    except KeyboardInterrupt:
        message = (
            "Interrupted; 'evalserver jobs' shows which jobs were queued. To submit again without"
            f" duplicates, add: --idempotency-key {key}"
        )
        raise Failure(message, ExitCode.INTERRUPTED) from None
