"""The options for connecting to the server, and resolving the ids of jobs."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import cells
from evalserver.cli.completing import complete_jobs
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure, with_debug
from evalserver.core.job_id import ID_PART
from evalserver.core.wording import count_of_jobs

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Command = Callable[..., Any]

DEFAULT_RETRY_SECONDS = 5.0
"""How long a server that does not respond is tried."""
WAITING_RETRY_SECONDS = 120.0
"""How long it is tried while waiting for a job, so that a restart of the server is survived."""

UUID_LENGTH = 36
MAX_CANDIDATES = 5
"""Jobs or batches that are listed if a part of an id is not unique."""


def print_to_stderr(text: str) -> None:
    """Print a message that is not part of the output."""
    click.echo(text, err=True)


@dataclass(frozen=True)
class Server:
    """The connection options of a command; ``retry_for`` is in seconds."""

    url: str | None
    token: str | None
    retry_for: float | None

    @contextmanager
    def client(
        self, *, is_waiting: bool = False, on_retry: Callable[[str], None] = print_to_stderr
    ) -> Iterator["EvalClient"]:
        """Open a client for the block. ``on_retry`` is called with a message before each retry."""
        from evalserver.client import EvalClient

        default = WAITING_RETRY_SECONDS if is_waiting else DEFAULT_RETRY_SECONDS
        seconds = default if self.retry_for is None else self.retry_for
        try:
            client = EvalClient(self.url, token=self.token, retry_for=seconds)
        except ValueError as error:
            raise Failure(str(error).replace("base_url", "--url", 1), ExitCode.USAGE) from error
        with _report_client_log(on_retry), client:
            yield client


def with_server(command: Command) -> Command:
    """Add the connection options to a command, which gets them as ``server``."""

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
    """Add the argument JOB to a command."""
    return click.argument("job", metavar="JOB", shell_complete=complete_jobs)(command)


def engine_option(command: Command) -> Command:
    """Add the option ``--engine`` to a command."""
    return click.option(
        "--engine", metavar="NAME", help="The harness, such as lmms_eval or lm_eval."
    )(command)


def resolve_job_id(client: "EvalClient", given: str) -> str:
    """Return the id of the job that has this id, or this beginning or end of an id.

    Raises Failure if no job or several jobs have it.
    """
    part = _parse_part(
        given,
        "is no JOB; give an id, or at least 4 characters of its beginning or end, as 'evalserver"
        " jobs' shows it",
    )
    if len(part) == UUID_LENGTH:
        return part
    found = list(islice(client.jobs(job_id=part), MAX_CANDIDATES + 1))
    if len(found) == 1:
        return str(found[0]["job_id"])
    if not found:
        raise Failure(
            f"no job has an id that begins or ends with {part!r}; 'evalserver jobs' lists the jobs;"
            " of a pruned job, give the whole id",
            ExitCode.USAGE,
        )
    raise Failure(_describe_candidates(part, found), ExitCode.USAGE)


def resolve_batch_id(client: "EvalClient", given: str) -> str:
    """Return the id of the batch that has this id, or this beginning or end of an id.

    Raises Failure if no batch or several batches have it.
    """
    part = _parse_part(
        given,
        "is no batch; give its id, or at least 4 characters of the id's beginning or end, as"
        " 'evalserver status' of one of its jobs shows it",
    )
    if len(part) == UUID_LENGTH:
        return part
    found = client.batches(part, limit=MAX_CANDIDATES + 1)
    if len(found) == 1:
        return str(found[0]["batch_id"])
    if not found:
        raise Failure(f"no batch has an id that begins or ends with {part!r}", ExitCode.USAGE)
    listed = [
        f"  {cells.text(each['batch_id'])}  {count_of_jobs(each['count'])}  submitted"
        f" {cells.local_time(each['created_at'])}"
        for each in found
    ]
    raise Failure(_ambiguous("batches", part, listed), ExitCode.USAGE)


def _parse_part(given: str, advice: str) -> str:
    """Return an id, or a part of one, in lower case. Raises Failure with the advice for any other
    text."""
    part = given.strip().lower()
    if len(part) != UUID_LENGTH and not ID_PART.fullmatch(part):
        raise Failure(f"{cells.text(given)!r} {advice}", ExitCode.USAGE)
    return part


def _describe_candidates(part: str, found: Sequence[Mapping[str, Any]]) -> str:
    listed = [
        f"  {cells.text(job['job_id'])}  {cells.status(job)}  {cells.model(job['request'])}"
        f"  {cells.tasks(job['request']['tasks'])}"
        for job in found
    ]
    return _ambiguous("jobs", part, listed)


def _ambiguous(what: str, part: str, listed: Sequence[str]) -> str:
    count, more = (
        (f"more than {MAX_CANDIDATES}", ["  ..."])
        if len(listed) > MAX_CANDIDATES
        else (str(len(listed)), [])
    )
    headline = f"{count} {what} have an id that begins or ends with {part!r}; give more of one of"
    return "\n".join([f"{headline} these, the newest first:", *listed[:MAX_CANDIDATES], *more])


@contextmanager
def _report_client_log(on_message: Callable[[str], None]) -> Iterator[None]:
    """Report the warnings that the client logs."""
    log = logging.getLogger("evalserver.client")
    handler = _CallbackHandler(on_message)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _CallbackHandler(logging.Handler):
    def __init__(self, on_message: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_message = on_message

    def emit(self, record: logging.LogRecord) -> None:
        self._on_message(record.getMessage())


_URL = click.option(
    "--url",
    metavar="URL",
    envvar="EVALSERVER_URL",
    help="Address of the server [default: http://localhost:8000] [EVALSERVER_URL]",
)
# The client reads the variable itself: a token in the URL takes precedence over it.
_TOKEN = click.option(
    "--token",
    metavar="TOKEN",
    help="Token for the server. Other users of this machine can see it on the command line, but not"
    " in the variable. [EVALSERVER_TOKEN]",
)
_RETRY_FOR = click.option(
    "--retry-for",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help=f"How long to retry if the server does not respond"
    f" [default: {DEFAULT_RETRY_SECONDS:.0f}; while waiting for a job {WAITING_RETRY_SECONDS:.0f}]",
)
