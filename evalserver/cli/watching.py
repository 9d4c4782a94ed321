"""What somebody who waits for a job sees meanwhile, on stderr: a bar, lines, or nothing."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import click

from evalserver.cli import cells
from evalserver.cli.screens import is_terminal

Job = dict[str, Any]

NARROW = 70
"""Columns of a terminal that has no room for details."""
LONGEST_STAGE = 24
REFRESHES = 8
"""A second."""


class View(AbstractContextManager[Any], Protocol):
    """Shows a job for the length of a block, one after the other."""

    poll_seconds: float
    """How often there is something new to see."""

    def show(self, job: Job) -> None:
        """The job as it is now."""

    def note(self, text: str) -> None:
        """Something to know, such as that the server does not answer."""

    def tell(self, text: str) -> None:
        """Something that is nice to know."""


def view_of(*, quiet: bool, as_json: bool) -> View:
    """What fits who waits: a person at a terminal, a log, a program."""
    if is_terminal(sys.stderr) and not quiet:
        return Bar()
    return Silence() if quiet or as_json else Lines()


class Silence:
    """Shows nothing but what one must know."""

    poll_seconds = 30.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def show(self, job: Job) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """A line."""
        click.echo(text, err=True)

    def tell(self, text: str) -> None:
        """Nothing."""


class Lines(Silence):
    """A line for each change: for logs."""

    poll_seconds = 5.0

    def __init__(self) -> None:
        self._told = ""

    def show(self, job: Job) -> None:
        """A line, if it says something new."""
        if job["status"] in ("queued", "running"):
            self.tell(f"Job {job['job_id']} {_state(job)}")

    def tell(self, text: str) -> None:
        """A line, if it says something new."""
        if text != self._told:
            click.echo(text, err=True)
            self._told = text


class Bar:
    """One line that is drawn over and over: queue position, then stage, bar and ETA."""

    poll_seconds = 1.0

    def __init__(self) -> None:
        from rich.console import Console
        from rich.spinner import Spinner

        self._console = Console(stderr=True, highlight=False)
        self._spinner = Spinner("dots")
        self._job: Job | None = None
        self._live: Any = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=REFRESHES,
            transient=True,
        )
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, job: Job) -> None:
        """The job as it is now."""
        if self._job is None or self._job["job_id"] != job["job_id"]:
            self._print(f"Waiting for job {job['job_id']}")
        self._job = job
        self._live.refresh()

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._print(text)

    def tell(self, text: str) -> None:
        """A line."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _drawn(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        job = self._job
        # Ctrl-C is echoed behind it; on a line of its own it would keep the bar from being wiped.
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True)
        grid.width = self._console.width - len("^C") - 1
        grid.add_column(no_wrap=True)
        if job is None or job["status"] != "running":
            grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            grid.add_row(self._spinner, Text("asking" if job is None else _waits(job)))
            return grid
        progress = job["progress"] or {"stage": "starting", "fraction": None}
        grid.add_column(max_width=LONGEST_STAGE, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, min_width=6)
        grid.add_column(no_wrap=True, justify="right")
        fraction = progress["fraction"]
        bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None)
        details = _details(job, progress, narrow=self._console.width < NARROW)
        grid.add_row(self._spinner, Text(cells.text(progress["stage"])), bar, Text(details))
        return grid


def _state(job: Job) -> str:
    if job["status"] == "queued":
        return _waits(job)
    stage = (job["progress"] or {"stage": "starting"})["stage"]
    return f"running: {cells.text(stage)}"


def _waits(job: Job) -> str:
    if job["status"] != "queued":
        return str(job["status"])
    why = f": {cells.text(job['waiting_for'])}" if job.get("waiting_for") else ""
    return f"queued, {job['position_in_queue']} before it{why}{_ends(job)}"


def _details(job: Job, progress: dict[str, Any], *, narrow: bool) -> str:
    if progress["fraction"] is None:
        return _ends(job).removeprefix(", ")
    share = f"{progress['fraction']:.0%}"
    left = progress.get("eta_s")
    remaining = "" if left is None else f" {cells.duration(left)} left"
    if narrow:
        return f"{share}{remaining}"
    rate = "" if progress.get("rate") is None else f" {progress['rate']:.3g}/s"
    return f"{share} {progress['done']}/{progress['total']}{rate}{remaining}{_ends(job)}"


def _ends(job: Job) -> str:
    """When the job will have ended, as far as the server knows; nothing once it takes longer."""
    eta = job.get("eta_s")
    return "" if not eta else f", ends in {cells.duration(eta)}"
