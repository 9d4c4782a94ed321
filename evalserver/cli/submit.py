"""``evalserver submit``: queue evaluations, and wait for them if that is wanted."""

import json
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import values
from evalserver.cli.connection import Server, to_stderr, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, failure_of
from evalserver.cli.request_options import with_request
from evalserver.cli.run_file import BadRunFile, read_run_file, text_of
from evalserver.cli.screens import as_json, on_terminal, print_json
from evalserver.cli.values import read_with
from evalserver.cli.waiting import Waiting, wait_for, with_waiting

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Fields = dict[str, Any]

MERGED = ("model_args", "labels")
"""Of these, single values override those of a file; of the others, the whole."""


@click.command(
    # Users of lmms-eval write --model_args.
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-")}
)
@with_request
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="An lmms-eval --config file (YAML): one evaluation, or a list. Options override it.",
)
@click.option("--lenient", is_flag=True, help="Leave out of FILE what the server has no field for.")
@click.option("--wait", "-w", "waits", is_flag=True, help="Wait for it, as 'evalserver wait' does.")
@with_waiting()
@click.option(
    "--idempotency-key",
    metavar="KEY",
    callback=read_with(values.key),
    help="The same key again makes no further job; without it, each call is a job of its own.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and send nothing.")
@as_json
@with_server
def submit(
    server: Server,
    fields: Fields,
    config: str | None,
    lenient: bool,
    waits: bool,
    waiting: Waiting,
    idempotency_key: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Queue an evaluation, and print its job's id.

    \b
    evalserver submit -m qwen2_5_vl -a pretrained=Qwen/Qwen2.5-VL-3B-Instruct -t mme --limit 8
    evalserver submit --config run.yaml --wait
    """
    requests, is_list = _requests(fields, config, lenient=lenient)
    if dry_run:
        print_json(requests if is_list else requests[0])
        return
    with server.client() as client:
        answers = _submitted(client, requests, idempotency_key or uuid.uuid4().hex)
    job_ids = [answer["job_id"] for answer in answers]
    if waits:
        raise click.exceptions.Exit(wait_for(server, job_ids, waiting, as_json=as_json))
    if as_json:
        print_json(answers if is_list else answers[0])
        return
    click.echo("\n".join(job_ids))
    on_terminal(lambda: f"{_said(answers)} Follow: evalserver wait {' '.join(job_ids)}")


def _requests(fields: Fields, config: str | None, *, lenient: bool) -> tuple[list[Fields], bool]:
    """What is to be submitted, and whether it came as a list."""
    if config is None:
        return [_complete(fields, "")], False
    try:
        found = read_run_file(*text_of(config), lenient=lenient)
    except OSError as error:
        raise Failure(f"cannot read {config}: {error.strerror}", ExitCode.USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{config} is no text in UTF-8", ExitCode.USAGE) from error
    except BadRunFile as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    if found.left_out:
        to_stderr(f"Left out of what the server gets: {', '.join(found.left_out)}")
    several = len(found.requests) > 1
    requests = [
        _complete(_overridden(request, fields), f" in entry {number}" if several else "")
        for number, request in enumerate(found.requests, 1)
    ]
    return requests, found.is_list


def _overridden(request: Fields, fields: Fields) -> Fields:
    merged = {
        name: {**request[name], **fields[name]}
        for name in MERGED
        if isinstance(request.get(name), dict) and name in fields
    }
    return {**request, **fields, **merged}


def _complete(fields: Fields, where: str) -> Fields:
    """The fields, which can be sent. Raises Failure when they cannot, as they are."""
    for name in ("model", "tasks"):
        if not fields.get(name):
            raise Failure(
                f"there is no --{name}{where}; give one, or a --config that has it", ExitCode.USAGE
            )
    try:
        json.dumps(fields, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        words = f"what is given{where} is no text in UTF-8"
        raise Failure(words, ExitCode.USAGE) from None
    except (TypeError, ValueError, RecursionError) as error:
        advice = "numbers must be finite, and dates in quotes"
        words = f"what is given{where} cannot be sent as JSON ({error}); {advice}"
        raise Failure(words, ExitCode.USAGE) from None
    return fields


def _submitted(client: "EvalClient", requests: Sequence[Fields], key: str) -> list[Fields]:
    """The answers to the submissions. Ends in a Failure that tells what was queued before it."""
    from evalserver.client import RequestFailed, ServerUnreachable

    answers: list[Fields] = []
    for number, request in enumerate(requests, 1):
        own_key = key if len(requests) == 1 else f"{key}-{number}"
        try:
            answers.append(client.evaluate(**request, idempotency_key=own_key))
        except KeyboardInterrupt:
            words = f"Interrupted; 'evalserver jobs' shows what was queued. {_again(key)}"
            raise Failure(words, ExitCode.INTERRUPTED) from None
        except (RequestFailed, ServerUnreachable) as error:
            failure = failure_of(error)
            if len(requests) == 1:
                raise failure from error
            queued = ", ".join(answer["job_id"] for answer in answers) or "none"
            which = f"This was number {number} of {len(requests)}; queued before it: {queued}."
            words = f"{failure.message}\n{which} {_again(key)}"
            raise Failure(words, failure.code) from error
    return answers


def _again(key: str) -> str:
    return f"To submit again without doubling anything, add: --idempotency-key {key}"


def _said(answers: Sequence[Fields]) -> str:
    if len(answers) > 1:
        return f"{len(answers)} jobs are queued."
    return f"Queued, {answers[0]['position_in_queue']} before it."
