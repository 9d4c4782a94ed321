"""Running an operation for each of several jobs, and printing what was done at once: whoever
interrupts a command for thousands of jobs sees how far it came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import click

from evalserver.cli.connection import print_to_stderr
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, to_failure
from evalserver.cli.screens import print_json
from evalserver.core.wording import count_of_jobs

Response = dict[str, Any]

CHANGED_MEANWHILE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE)
"""Statuses of a job that has finished, was queued again or was removed after it was found."""


@dataclass(frozen=True)
class Done:
    """The responses of an operation, and the codes of its errors."""

    responses: list[Response] = field(default_factory=list)
    codes: list[ExitCode] = field(default_factory=list)

    def exit_if_failed(self) -> None:
        """End the command with the code of the first error, if there was one."""
        if self.codes:
            raise click.exceptions.Exit(self.codes[0])


def message_of(response: Response) -> str:
    """Return what the server says that it did."""
    return str(response["message"])


def run_for_each(
    operation: Callable[[str], Response],
    job_ids: Sequence[str],
    *,
    as_json: bool,
    are_found: bool = False,
    line: Callable[[Response], str] | None = message_of,
) -> Done:
    """Run an operation for each job, continuing after errors, and print the line of each response,
    if there is one, or all responses as JSON.

    A job that ``are_found`` by a filter may have changed since: that it cannot be changed any more
    is no error. Raises Failure when interrupted, or when the server cannot be reached.
    """
    done = Done()
    try:
        _run(operation, job_ids, done, are_found, None if as_json else line)
    except KeyboardInterrupt:
        if len(job_ids) == 1:
            raise
        interrupted = Failure("interrupted", ExitCode.INTERRUPTED)
        raise _stopped(interrupted, done, len(job_ids)) from None
    finally:
        if as_json:
            print_responses(done.responses, is_list=len(job_ids) > 1)
    return done


def print_responses(responses: Sequence[Response], *, is_list: bool) -> None:
    """Print responses as one JSON document."""
    print_json(responses if is_list else responses[0] if responses else None)


def _run(
    operation: Callable[[str], Response],
    job_ids: Sequence[str],
    done: Done,
    are_found: bool,
    line: Callable[[Response], str] | None,
) -> None:
    from evalserver.client import RequestFailed, ServerUnreachable

    for job_id in job_ids:
        try:
            response = operation(job_id)
        except (RequestFailed, ServerUnreachable) as error:
            failure = to_failure(error)
            if failure.code is ExitCode.UNREACHABLE:
                raise _stopped(failure, done, len(job_ids)) from error
            is_late = isinstance(error, RequestFailed) and error.status in CHANGED_MEANWHILE
            _report(failure, done, is_error=not (are_found and is_late))
            continue
        done.responses.append(response)
        if line is not None:
            click.echo(line(response))


def _report(failure: Failure, done: Done, *, is_error: bool) -> None:
    print_to_stderr(f"Error: {failure.message}" if is_error else failure.message)
    if is_error:
        done.codes.append(failure.code)


def _stopped(failure: Failure, done: Done, count: int) -> Failure:
    """Return a failure that says how many of the jobs were done before it."""
    if count == 1:
        return failure
    stopped = f"stopped after {len(done.responses)} of {count_of_jobs(count)}"
    return Failure(
        f"{failure.message}; {stopped}; run the command again for the others", failure.code
    )
