"""The exit codes of the commands, for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; ``docs/cli.md`` documents each code."""

    DONE = 0
    """The command succeeded; if it waited for a job, the job is completed."""
    JOB_FAILED = 1
    """The job that the command waited for failed; or a command without a server failed."""
    USAGE = 2
    """The command line is invalid, or the server rejected the request."""
    UNREACHABLE = 3
    """The server cannot be reached, or cannot respond at the moment."""
    CANCELLED = 4
    """The job that the command waited for was cancelled."""
    NO_GO = 5
    """A gate found that the job is worse than its policy allows."""
    INCONCLUSIVE = 6
    """The evidence did not suffice for a gate's verdict."""
    FAULT = 70
    """An internal error of evalserver; `--debug` shows the traceback."""
    TIMED_OUT = 124
    """The wait timed out; the job continues."""
    INTERRUPTED = 130
    """Interrupted with Ctrl-C; a job that the command waited for continues."""
    PIPE_CLOSED = 141
    """The reader of the output has ended, as in `evalserver jobs | head -1`."""
