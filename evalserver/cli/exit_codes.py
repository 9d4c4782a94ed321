"""Exit codes: what a script learns of a command without reading what it printed."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; ``docs/cli.md`` has a row for each."""

    DONE = 0
    """What was asked for is done; of a job that was waited for: it is completed."""
    JOB_FAILED = 1
    """The job that was waited for failed; what needs no server could not be done."""
    USAGE = 2
    """The command line is wrong, or the server refuses what it asks for."""
    UNREACHABLE = 3
    """The server cannot be reached, or cannot answer now."""
    CANCELLED = 4
    """The job that was waited for was cancelled."""
    FAULT = 70
    """A fault of evalserver's own; `--debug` shows where."""
    TIMED_OUT = 124
    """The time to wait was over; the job goes on."""
    INTERRUPTED = 130
    """Interrupted with Ctrl-C; a job that was waited for goes on."""
    PIPE_CLOSED = 141
    """Nobody reads the output any more, as in `evalserver jobs | head -1`."""
