"""Turning the errors of commands into one clear line on stderr and an exit code."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from evalserver.client import RequestFailed

DEBUG = "evalserver.debug"


class Failure(click.ClickException):
    """An error that ends the command with its message on stderr and this exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """The exit code for click."""
        return self.code


def with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option ``--debug`` to a command, which shows the tracebacks of errors."""

    def remember(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[DEBUG] = True

    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show the traceback of an error.",
    )
    return option(command)


@contextmanager
def report_errors(ctx: click.Context | None) -> Iterator[None]:
    """Turn every error in the block into a message and an exit code. ``ctx`` is None before click
    has made a context."""
    try:
        yield
        _flush()
    except (click.ClickException, click.exceptions.Exit, click.Abort) as error:
        _print_traceback(ctx, error)
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        _drop_output()
        raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None
    except Exception as error:
        _print_traceback(ctx, error)
        try:
            _flush()
        except OSError:
            _drop_output()
        raise to_failure(error) from error


def to_failure(error: Exception) -> Failure:
    """Return the message and the exit code for an error."""
    from evalserver.client import JobCancelled, JobFailed, RequestFailed, ServerUnreachable

    match error:
        case RequestFailed():
            return _describe_response(error)
        case ServerUnreachable():
            advice = "is it running, and is --url (EVALSERVER_URL) right?"
            return Failure(f"{error}; {advice}", ExitCode.UNREACHABLE)
        case JobFailed():
            return Failure(str(error), ExitCode.JOB_FAILED)
        case JobCancelled():
            return Failure(str(error), ExitCode.CANCELLED)
        case TimeoutError():
            return Failure(str(error), ExitCode.TIMED_OUT)
        case OSError(filename=str() as name):
            return Failure(f"{name}: {error.strerror}", ExitCode.USAGE)
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EDQUOT):
            return Failure(f"the output cannot be written: {error.strerror}", ExitCode.USAGE)
    message = f"{type(error).__name__}: {error}"
    advice = "this is an internal error of evalserver; please report it with the output of --debug"
    return Failure(f"{message}; {advice}", ExitCode.FAULT)


def _describe_response(error: "RequestFailed") -> Failure:
    if not {"type", "title", "detail"} <= error.problem.keys():
        advice = "is this an evalserver? Its address comes from --url or EVALSERVER_URL"
        request = f"{error.request.method} {error.request.url}"
        message = f"{request} returned {error.status}: {error}" if error.problem else str(error)
        return Failure(f"{message}; {advice}", ExitCode.UNREACHABLE)
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = "the token comes from --token or EVALSERVER_TOKEN"
        return Failure(f"{error}; {advice}", ExitCode.USAGE)
    is_rejected = error.status < HTTPStatus.INTERNAL_SERVER_ERROR and not error.temporary
    return Failure(str(error), ExitCode.USAGE if is_rejected else ExitCode.UNREACHABLE)


def _print_traceback(ctx: click.Context | None, error: Exception) -> None:
    if ctx and ctx.meta.get(DEBUG) and not isinstance(error, click.exceptions.Exit):
        traceback.print_exception(error)


def _flush() -> None:
    if sys.stdout is not None:  # it can be closed before the command starts
        sys.stdout.flush()


def _drop_output() -> None:
    # Python flushes again at exit, and would report an error then.
    with open(os.devnull, "wb") as null_device:  # noqa: PTH123 - not a path of ours
        os.dup2(null_device.fileno(), sys.stdout.fileno())
