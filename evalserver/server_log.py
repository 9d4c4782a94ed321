"""The server's own log: one line an event on stderr, coloured only where a person reads it."""

import io
import logging
import os
from contextlib import suppress
from typing import TextIO, cast

import structlog

STDERR = 2


class _Stderr(io.TextIOBase):
    """Standard error, but nobody fails because it cannot be written to.

    Who reads it may have gone away, and the disk that it is kept on may be full; the server's
    work goes on.
    """

    def write(self, text: str) -> int:
        with suppress(OSError):
            os.write(STDERR, text.encode(errors="replace"))
        return len(text)


def configure_log() -> None:
    """Write the log of this process to stderr."""
    stderr = _Stderr()
    # What the libraries have to say goes the same way, from warnings up.
    logging.basicConfig(stream=stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=os.isatty(STDERR),
                exception_formatter=structlog.dev.plain_traceback,
                pad_event_to=0,
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, stderr)),
    )
