"""The server's own log: one line an event on stderr, coloured only where a person reads it."""

import asyncio
import errno
import io
import logging
import os
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from evalserver.core.masking import mask_text

STDERR = 2

EXHAUSTED_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
MIN_LOG_INTERVAL_SECONDS = 1.0


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
    logging.getLogger("aiohttp.server").addFilter(_drop_traceback)
    structlog.configure(
        processors=CONSOLE_PROCESSORS if os.isatty(STDERR) else FILE_PROCESSORS,
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stderr)),
        cache_logger_on_first_use=True,
    )


class LoopErrors:
    """Logs what an event loop has to say, as the loop does by itself; but one line a second at the
    most of the connections that the system has no room for, where it has a traceback for each."""

    def __init__(self) -> None:
        self._silent_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log it; a handler of exceptions of an event loop."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in EXHAUSTED_ERRNOS:
            loop.default_exception_handler(context)
            return
        if loop.time() >= self._silent_until:
            self._silent_until = loop.time() + MIN_LOG_INTERVAL_SECONDS
            structlog.get_logger("evalserver").error(
                "no room for a connection; trying again", error=error.strerror
            )


def _render_line(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """The same line as for people, without colours, and made in a fifth of the time."""
    level = "error" if method == "exception" else method
    what, trace = event.pop("event"), event.pop("exception", None)
    details = "".join(f" {name}={_quoted(value)}" for name, value in event.items())
    line = f"[{level}] {what}{details}" + (f"\n{trace}" if trace else "")
    return f"{_now()} {mask_text(line)}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)


def _drop_traceback(record: logging.LogRecord) -> bool:
    """Anybody can send what is not HTTP: that is one line, not twenty."""
    error = record.exc_info[1] if record.exc_info else None
    if type(error).__module__ == "aiohttp.http_exceptions":
        record.exc_info = None
        record.msg = f"{record.msg}: {type(error).__name__}"
    return True


def _mask_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = mask_text(value) if isinstance(value, str) else value
    return event


CONSOLE_PROCESSORS: tuple[Processor, ...] = (
    _mask_secrets,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.dev.ConsoleRenderer(
        exception_formatter=structlog.dev.plain_traceback, pad_event_to=0, pad_level=False
    ),
)
FILE_PROCESSORS: tuple[Processor, ...] = (structlog.processors.format_exc_info, _render_line)
