"""``evalserver follow``: sending the numbers of finished jobs to an experiment tracker."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli import values
from evalserver.cli.connection import Server, print_to_stderr, with_server
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure
from evalserver.core.wording import count_of_jobs

if TYPE_CHECKING:
    from evalserver.trackers import Follower, Start

TRACKERS = ("mlflow", "wandb", "tensorboard", "jsonl")

Command = Callable[..., Any]


def _with_options(options: tuple[Command, ...]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_PLACE = (
    click.option(
        "--uri",
        metavar="URI",
        help="mlflow: address of the tracking server, or what MLflow takes as such"
        " [MLFLOW_TRACKING_URI]",
    ),
    click.option("--experiment", metavar="NAME", help="mlflow [default: evalserver]"),
    click.option("--project", metavar="NAME", help="wandb: project of the runs"),
    click.option("--entity", metavar="NAME", help="wandb: team or user [WANDB_ENTITY]"),
    click.option(
        "--dir",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="tensorboard: directory of the event files; wandb: directory for files of runs",
    ),
    click.option(
        "--file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="jsonl: file that gets a line for each job",
    ),
)
_FILTERS = (
    click.option(
        "--series",
        metavar="PATTERN",
        multiple=True,
        help="Only jobs of these series, such as 'run-*'. May be given several times.",
    ),
    values.labels_option("Only jobs with this label."),
    click.option(
        *("--task", "tasks"),
        metavar="PATTERN",
        multiple=True,
        help="Only numbers of these tasks, such as 'mme*'. May be given several times.",
    ),
    click.option(
        *("--skip", "skipped"),
        metavar="ID",
        multiple=True,
        help="Leave out this job, which the tracker does not take. May be given several times.",
    ),
)


@click.command()
@click.option("--to", type=click.Choice(TRACKERS), required=True, help="Where to send the numbers.")
@_with_options(_PLACE)
@_with_options(_FILTERS)
@click.option("--once", is_flag=True, help="Send what has finished, then end.")
@click.option(
    "--from-start",
    is_flag=True,
    help="Begin with the oldest job again; what the tracker has does not come twice.",
)
@click.option("--from-now", is_flag=True, help="The first time, leave out what has finished.")
@click.option(
    *("--state", "state_dir"),
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for how far it came [default: ~/.local/state/evalserver/follow]",
)
@click.option(
    "--link-url", metavar="URL", help="Address of the server in links [default: that of --url]"
)
@with_server
def follow(
    server: Server,
    to: str,
    once: bool,
    from_start: bool,
    from_now: bool,
    state_dir: Path | None,
    link_url: str | None,
    **options: Any,
) -> None:
    """Send the numbers of finished jobs to MLflow, W&B, TensorBoard or a file, as they finish.

    No number twice and none lost, whatever is killed: it keeps how far it came, and what is
    unreachable is tried until it is back. It needs the extra of the tracker:
    pip install 'evalserver[mlflow]'.
    """
    if from_start and from_now:
        raise click.UsageError("--from-start and --from-now exclude each other")
    from evalserver.trackers import (
        DESTINATIONS,
        Feed,
        Filters,
        Follower,
        Place,
        Start,
        default_state_dir,
        open_destination,
        open_state,
    )

    names = ("uri", "experiment", "project", "entity", "dir", "file")
    place = Place(**{name: options[name] for name in names})
    _require_place(to, place)
    start = Start.BEGINNING if from_start else Start.RESUME
    start = Start.NOW if from_now else start
    filters = Filters(
        options["series"], options["tasks"], options["labels"], frozenset(options["skipped"])
    )
    root = state_dir or default_state_dir(os.environ)
    # Retries are the follower's: it says so, and goes on for as long as it takes.
    with _errors(), server.client() as client:
        where = DESTINATIONS[to].describe(place)
        with (
            open_state(root, client.base_url, to, where, filters.words()) as state,
            closing(open_destination(to, place, state.directory)) as destination,
        ):
            feed = Feed(client, (link_url or client.base_url).rstrip("/"))
            follower = Follower(feed, destination, state, filters, warn=print_to_stderr)
            _run(follower, start, once=once)


def _run(follower: "Follower", start: "Start", *, once: bool) -> None:
    from evalserver.trackers import Stopped

    signal.signal(signal.SIGTERM, lambda *_: follower.stop())
    try:
        if once:
            follower.send_once(start)
        else:
            follower.send_forever(start)
    except Stopped:
        if once:
            raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    finally:
        print_to_stderr(f"{count_of_jobs(follower.sent)} sent")


def _require_place(to: str, place: Any) -> None:
    from evalserver.trackers import DESTINATIONS

    kind, given = DESTINATIONS[to], place.given()
    if missing := sorted(kind.needs - given):
        raise click.UsageError(f"--to {to} needs --{missing[0]}")
    if unused := sorted(given - kind.takes):
        raise click.UsageError(f"--to {to} does not take --{unused[0]}")


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the errors of trackers into messages and exit codes."""
    from evalserver.trackers import (
        DamagedState,
        MissingPackage,
        Rejected,
        StateTaken,
        Unreachable,
    )

    try:
        yield
    except (MissingPackage, StateTaken, DamagedState) as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    except Rejected as error:
        raise Failure(str(error), ExitCode.JOB_FAILED) from error
    except Unreachable as error:
        raise Failure(str(error), ExitCode.UNREACHABLE) from error
