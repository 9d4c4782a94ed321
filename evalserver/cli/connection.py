"""The server that a command speaks to: where it is, how long it is tried, which job is meant."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.completing import complete_jobs
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, with_debug

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Command = Callable[..., Any]

QUICK_SECONDS = 5.0
"""For so long somebody who asks is kept waiting for a server that does not answer."""
PATIENT_SECONDS = 120.0
"""For so long, once a job is waited for: a server that restarts is back by then."""

UUID_LENGTH = 36
MOST_NAMED = 3


def to_stderr(text: str) -> None:
    """Say what is not part of the output."""
    click.echo(text, err=True)


@dataclass(frozen=True)
class Server:
    """Where the server is. ``retry_for`` are the seconds that the command line gives it."""

    url: str | None
    token: str | None
    retry_for: float | None

    @contextmanager
    def client(
        self, *, patient: bool = False, note: Callable[[str], None] = to_stderr
    ) -> Iterator["EvalClient"]:
        """A client for the length of the block; ``note`` is told when something is tried again."""
        from evalserver.client import EvalClient

        usual = PATIENT_SECONDS if patient else QUICK_SECONDS
        seconds = usual if self.retry_for is None else self.retry_for
        try:
            client = EvalClient(self.url, token=self.token, retry_for=seconds)
        except ValueError as error:
            raise Failure(str(error).replace("base_url", "--url", 1), ExitCode.USAGE) from error
        with _noted(note), client:
            yield client


def with_server(command: Command) -> Command:
    """Give a command the options that say which server it speaks to, and that as ``server``."""

    @wraps(command)
    def called(
        *, url: str | None, token: str | None, retry_for: float | None, **kwargs: Any
    ) -> Any:
        return command(server=Server(url, token, retry_for), **kwargs)

    wrapped = with_debug(called)
    for option in (_RETRY_FOR, _TOKEN, _URL):
        wrapped = option(wrapped)
    return wrapped


def job_argument(command: Command) -> Command:
    """Give a command the argument JOB."""
    return click.argument("job", metavar="JOB", shell_complete=complete_jobs)(command)


def jobs_argument(command: Command) -> Command:
    """Give a command the argument JOB, one or several."""
    several = click.argument(
        "jobs", metavar="JOB...", nargs=-1, required=True, shell_complete=complete_jobs
    )
    return several(command)


def engine_option(command: Command) -> Command:
    """Give a command the option that names an engine."""
    return click.option("--engine", metavar="NAME", help="Which harness: lmms_eval, lm_eval.")(
        command
    )


def job_id_of(client: "EvalClient", given: str) -> str:
    """The id of the job that is meant by it, or by its beginning.

    Raises Failure when it is no job's beginning, or that of several.
    """
    given = given.strip().lower()
    if len(given) == UUID_LENGTH or not given:
        return _not_empty(given)
    found = [job["job_id"] for job in client.jobs() if job["job_id"].startswith(given)]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise Failure(
            f"no job's id begins with {given!r}; 'evalserver jobs' shows which jobs there are",
            ExitCode.USAGE,
        )
    named = ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")
    raise Failure(f"the ids of {len(found)} jobs begin with {given!r}: {named}", ExitCode.USAGE)


def _not_empty(given: str) -> str:
    if not given:
        raise Failure("JOB is empty; give the id of a job, or its beginning", ExitCode.USAGE)
    return given


@contextmanager
def _noted(note: Callable[[str], None]) -> Iterator[None]:
    """What the client logs is told."""
    log = logging.getLogger("evalserver.client")
    handler = _Teller(note)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())


_URL = click.option(
    "--url",
    metavar="URL",
    envvar="EVALSERVER_URL",
    help="Where the server is [default: http://localhost:8000] [EVALSERVER_URL]",
)
# The client itself looks at the variable: a token in the URL comes before it.
_TOKEN = click.option(
    "--token",
    metavar="TOKEN",
    help="Token to show it; others of this machine can see it here, the variable they cannot."
    " [EVALSERVER_TOKEN]",
)
_RETRY_FOR = click.option(
    "--retry-for",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help=f"For how long a server that does not answer is tried"
    f" [default: {QUICK_SECONDS:.0f}; while waiting for a job {PATIENT_SECONDS:.0f}]",
)
