"""The server's own log: one line an event on stderr, coloured only where a person reads it."""

import logging
import sys

import structlog


def configure_log() -> None:
    """Write the log of this process to stderr."""
    # What the libraries have to say goes the same way, from warnings up.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
                pad_event_to=0,
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
