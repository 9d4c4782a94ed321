"""Showing the progress of a job on stderr while waiting for it: a bar, lines, or nothing."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import click

from evalserver.cli import cells
from evalserver.cli.screens import is_terminal

Job = dict[str, Any]

NARROW_WIDTH = 70
"""Terminals with fewer columns show no details."""
MAX_STAGE_WIDTH = 24
REFRESHES_PER_SECOND = 8


class View(AbstractContextManager[Any], Protocol):
    """Shows one job at a time, each in a ``with`` block."""

    poll_seconds: float
    """How often to fetch the job."""

    def show(self, job: Job) -> None:
        """Show the current state of the job."""

    def warn(self, text: str) -> None:
        """Print a warning, such as that the server does not respond."""

    def info(self, text: str) -> None:
        """Print an informational message."""


def choose_view(*, quiet: bool, as_json: bool) -> View:
    """Choose the view for a terminal, a log file, or a program."""
    if is_terminal(sys.stderr) and not quiet:
        return BarView()
    return QuietView() if quiet or as_json else LineView()


class QuietView:
    """Shows only warnings."""

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
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Print a line."""
        click.echo(text, err=True)

    def info(self, text: str) -> None:
        """Show nothing."""


class LineView(QuietView):
    """Prints a line for each change, for log files."""

    poll_seconds = 5.0

    def __init__(self) -> None:
        self._last_line = ""

    def show(self, job: Job) -> None:
        """Print a line if it differs from the last one."""
        if job["status"] in ("queued", "running"):
            self.info(f"Job {job['job_id']} {_state(job)}")

    def info(self, text: str) -> None:
        """Print a line if it differs from the last one."""
        if text != self._last_line:
            click.echo(text, err=True)
            self._last_line = text


class BarView:
    """One line that is redrawn: the queue position, then stage, progress bar and ETA."""

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
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
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
        """Show the current state of the job."""
        if self._job is None or self._job["job_id"] != job["job_id"]:
            self._print(f"Waiting for job {job['job_id']}")
        self._job = job
        self._live.refresh()

    def warn(self, text: str) -> None:
        """Print a line above the bar."""
        self._print(text)

    def info(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def _render(self) -> Any:
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
            grid.add_row(self._spinner, Text("connecting" if job is None else _queue_state(job)))
            return grid
        progress = job["progress"] or {"stage": "starting", "fraction": None}
        grid.add_column(max_width=MAX_STAGE_WIDTH, no_wrap=True, overflow="ellipsis")
        grid.add_column(ratio=1, min_width=6)
        grid.add_column(no_wrap=True, justify="right")
        fraction = progress["fraction"]
        bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None)
        details = _details(job, progress, narrow=self._console.width < NARROW_WIDTH)
        grid.add_row(self._spinner, Text(cells.text(progress["stage"])), bar, Text(details))
        return grid


def _state(job: Job) -> str:
    if job["status"] == "queued":
        return _queue_state(job)
    stage = (job["progress"] or {"stage": "starting"})["stage"]
    return f"running: {cells.text(stage)}{cells.stalled(job)}"


def _queue_state(job: Job) -> str:
    if job["status"] != "queued":
        return str(job["status"])
    reason = f": {cells.text(job['waiting_for'])}" if job.get("waiting_for") else ""
    return f"queued, {job['position_in_queue']} ahead{reason}{_ends(job)}"


def _details(job: Job, progress: dict[str, Any], *, narrow: bool) -> str:
    if job.get("stalled_since"):
        return f"stalled since {cells.local_time(job['stalled_since'])}"
    if progress["fraction"] is None:
        return _ends(job).removeprefix(", ")
    percentage = f"{progress['fraction']:.0%}"
    eta_s = progress.get("eta_s")
    remaining = "" if eta_s is None else f" {cells.duration(eta_s)} left"
    if narrow:
        return f"{percentage}{remaining}"
    rate = "" if progress.get("rate") is None else f" {progress['rate']:.3g}/s"
    return f"{percentage} {progress['done']}/{progress['total']}{rate}{remaining}{_ends(job)}"


def _ends(job: Job) -> str:
    """Format when the job will end, if the server knows; empty once it takes longer."""
    eta = job.get("eta_s")
    return "" if not eta else f", ends in {cells.duration(eta)}"
