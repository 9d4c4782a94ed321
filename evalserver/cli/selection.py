"""Choosing the jobs of a command: by id, or all that match, after a question."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from evalserver.cli.completing import complete_jobs
from evalserver.cli.connection import resolve_batch_id, resolve_job_id
from evalserver.cli.exit_codes import ExitCode
from evalserver.cli.failures import Failure
from evalserver.cli.screens import is_terminal
from evalserver.cli.values import labels_option

if TYPE_CHECKING:
    from evalserver.client import EvalClient

Command = Callable[..., Any]

STATUSES = ("queued", "running", "completed", "failed", "cancelled")


class Selection:
    """The jobs of a command, as its arguments and options name them."""

    def __init__(
        self,
        jobs: Sequence[str],
        labels: Mapping[str, str],
        series: str | None,
        batch: str | None,
    ) -> None:
        self.batch = batch
        self._jobs = jobs
        self._labels = labels
        self._series = series
        if bool(jobs) == self.is_filter:
            raise click.UsageError("Give JOB..., or else --label, --series or --batch.")

    @property
    def is_filter(self) -> bool:
        """Whether the jobs are chosen by what they have in common."""
        return bool(self._labels) or self._series is not None or self.batch is not None

    @property
    def is_batch(self) -> bool:
        """Whether the jobs are those of a batch, all of them."""
        return self.batch is not None and not self._labels and self._series is None

    @property
    def words(self) -> str:
        """The options of a command for the same jobs; empty if they were chosen by id."""
        labels = [("--label", f"{name}={text}") for name, text in self._labels.items()]
        named = [("--series", self._series), ("--batch", self.batch)]
        return shlex.join(
            word
            for option, value in [*labels, *named]
            if value is not None
            for word in (option, value)
        )

    def find(self, client: "EvalClient", statuses: Sequence[str]) -> list[str]:
        """Return the ids of the jobs, the first submitted first; of a filter, those with one of the
        statuses. Raises Failure if there are none."""
        if not self.is_filter:
            return [resolve_job_id(client, job) for job in self._jobs]
        self.resolve_batch(client)
        found = client.jobs(
            labels=self._labels,
            series=self._series,
            batch_id=self.batch,
            status=list(statuses),
            sort="created_at",
        )
        job_ids = [str(job["job_id"]) for job in found]
        if not job_ids:
            raise Failure(self._describe_nothing(client, statuses), ExitCode.USAGE)
        return job_ids

    def resolve_batch(self, client: "EvalClient") -> None:
        """Replace a part of a batch's id by the id. Raises Failure unless one batch has it."""
        if self.batch is not None:
            self.batch = resolve_batch_id(client, self.batch)

    def _describe_nothing(self, client: "EvalClient", statuses: Sequence[str]) -> str:
        which = f" that is {' or '.join(statuses)}" if len(statuses) < len(STATUSES) else ""
        if self.is_batch and self.batch is not None:
            batch = client.get_batch(self.batch)
            pruned = f", {batch['pruned']} of them pruned" if batch["pruned"] else ""
            return f"the batch has no job{which}: {describe_counts(batch)}{pruned}"
        return f"no job matches{which}; 'evalserver jobs' lists the jobs"


def jobs_or_filter(command: Command) -> Command:
    """Add JOB... and the options that choose jobs to a command, which gets a ``selection``."""

    @wraps(command)
    def called(
        *,
        jobs: tuple[str, ...],
        labels: dict[str, str] | None,
        series: str | None,
        batch: str | None,
        **kwargs: Any,
    ) -> Any:
        return command(selection=Selection(jobs, labels or {}, series, batch), **kwargs)

    wrapped: Command = called
    for option in (
        click.option(
            "--batch", metavar="ID", help="All jobs of this batch: its id, or a part of it."
        ),
        click.option("--series", metavar="NAME", help="All jobs of this training run."),
        labels_option("All jobs with this label."),
        click.argument("jobs", metavar="[JOB]...", nargs=-1, shell_complete=complete_jobs),
    ):
        wrapped = option(wrapped)
    return wrapped


def describe_counts(batch: Mapping[str, Any]) -> str:
    """Return how many jobs of a batch are in each state."""
    return ", ".join(f"{count} {status}" for status, count in batch["counts"].items() if count)


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask a question on the terminal; end the command unless the answer is yes.

    Raises Failure without a terminal, unless ``yes``.
    """
    if yes:
        return
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise Failure(
            f"{question} There is no terminal to answer on; add --yes, nothing was changed",
            ExitCode.USAGE,
        )
    try:
        is_wanted = click.confirm(question, err=True)
    except click.Abort:
        raise Failure("interrupted, nothing was changed", ExitCode.INTERRUPTED) from None
    if not is_wanted:
        raise Failure("nothing was changed", ExitCode.USAGE)
