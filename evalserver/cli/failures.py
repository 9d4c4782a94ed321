"""What goes wrong in a command, as one clear line on stderr and an exit code."""

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
    """Ends the command with a line on stderr and this exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What click ends with."""
        return self.code


def with_debug(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option to show where an error comes from."""

    def remember(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[DEBUG] = True

    option = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Show where an error comes from.",
    )
    return option(command)


@contextmanager
def ends_in_words(ctx: click.Context | None) -> Iterator[None]:
    """Within the block, every error becomes words and an exit code. None: before there is one."""
    try:
        yield
        _flush()
    except (click.ClickException, click.exceptions.Exit, click.Abort) as error:
        _show_trace(ctx, error)
        raise
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except BrokenPipeError:
        _drop_output()
        raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None
    except Exception as error:
        _show_trace(ctx, error)
        try:
            _flush()
        except OSError:
            _drop_output()
        raise failure_of(error) from error


def failure_of(error: Exception) -> Failure:
    """The words and the exit code for an error that no command has dealt with."""
    from evalserver.client import JobCancelled, JobFailed, RequestFailed, ServerUnreachable

    match error:
        case RequestFailed():
            return _answered(error)
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
    words = f"{type(error).__name__}: {error}"
    advice = "this is a fault of evalserver; --debug shows where, please report it"
    return Failure(f"{words}; {advice}", ExitCode.FAULT)


def _answered(error: "RequestFailed") -> Failure:
    if not {"type", "title", "detail"} <= error.problem.keys():
        advice = "is that an evalserver? Its address is --url, or EVALSERVER_URL"
        asked = f"{error.request.method} {error.request.url}"
        said = f"{asked} was answered {error.status}: {error}" if error.problem else str(error)
        return Failure(f"{said}; {advice}", ExitCode.UNREACHABLE)
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        advice = "the token is taken from --token, or EVALSERVER_TOKEN"
        return Failure(f"{error}; {advice}", ExitCode.USAGE)
    is_refusal = error.status < HTTPStatus.INTERNAL_SERVER_ERROR and not error.temporary
    return Failure(str(error), ExitCode.USAGE if is_refusal else ExitCode.UNREACHABLE)


def _show_trace(ctx: click.Context | None, error: Exception) -> None:
    if ctx and ctx.meta.get(DEBUG) and not isinstance(error, click.exceptions.Exit):
        traceback.print_exception(error)


def _flush() -> None:
    if sys.stdout is not None:  # it was closed before the command began
        sys.stdout.flush()


def _drop_output() -> None:
    # Python flushes once more when it ends, and would complain then.
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - not a path of ours
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
