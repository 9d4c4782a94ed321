"""The server's own log: one line per event on stderr, coloured only on a terminal."""

import asyncio
import atexit
import errno
import io
import logging
import math
import os
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from evalserver.core.masking import mask_text

STDERR = 2

EXHAUSTED_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
MIN_LOG_INTERVAL_SECONDS = 1.0


class Stderr(io.TextIOBase):
    """Standard error; a failed write is ignored.

    Its reader may be gone, or its disk full; the server continues to work. What is written within
    one round of an event loop is written at once.
    """

    def __init__(self) -> None:
        self._pending: list[str] = []

    def write(self, text: str) -> int:
        """Write a text, in an event loop in its next round."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _write([text])
        else:
            if not self._pending:
                loop.call_soon(self.write_pending)
            self._pending.append(text)
        return len(text)

    def write_pending(self) -> None:
        """Write what an event loop has left."""
        pending, self._pending = self._pending, []
        if pending:
            _write(pending)


def _write(texts: list[str]) -> None:
    data = "".join(texts).encode(errors="replace")
    with suppress(OSError):
        while data:
            data = data[os.write(STDERR, data) :]


def configure_log() -> None:
    """Write the log of this process to stderr."""
    stderr = Stderr()
    atexit.register(stderr.write_pending)
    # Libraries log to the same place, from warnings up.
    logging.basicConfig(stream=stderr, level=logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(MalformedRequestFilter())
    structlog.configure(
        processors=CONSOLE_PROCESSORS if os.isatty(STDERR) else FILE_PROCESSORS,
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stderr)),
        cache_logger_on_first_use=True,
    )


class LogThrottle:
    """Allows one log line per ``MIN_LOG_INTERVAL_SECONDS``, and counts those that it suppresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._silent_until = -math.inf
        self._suppressed = 0

    def allow(self) -> int | None:
        """Return how many lines were suppressed since the last one; None to suppress this one."""
        now = self._clock()
        if now < self._silent_until:
            self._suppressed += 1
            return None
        self._silent_until = now + MIN_LOG_INTERVAL_SECONDS
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


class LoopErrors:
    """Exception handler of an event loop that throttles errors of exhausted resources.

    By default, the loop logs a traceback for each connection that it cannot accept.
    """

    def __init__(self) -> None:
        self._throttle = LogThrottle()

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log the error."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in EXHAUSTED_ERRNOS:
            loop.default_exception_handler(context)
            return
        suppressed = self._throttle.allow()
        if suppressed is not None:
            structlog.get_logger("evalserver").error(
                "cannot accept a connection; will retry",
                error=error.strerror,
                **({"suppressed": suppressed} if suppressed else {}),
            )


class MalformedRequestFilter(logging.Filter):
    """Throttles aiohttp's errors about malformed requests, and removes their tracebacks.

    Any client can send what is not HTTP, as often as it likes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._throttle = LogThrottle()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record, which may be changed."""
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__module__ != "aiohttp.http_exceptions":
            return True
        suppressed = self._throttle.allow()
        if suppressed is None:
            return False
        record.exc_info = None
        record.msg = f"{record.msg}: {type(error).__name__}"
        if suppressed:
            record.msg += f" suppressed={suppressed}"
        return True


def _render_line(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Render the line of the console without colours, in a fifth of the time."""
    level = "error" if method == "exception" else method
    message, trace = event.pop("event"), event.pop("exception", None)
    details = "".join(f" {name}={_quote(value)}" for name, value in event.items())
    line = f"[{level}] {message}{details}" + (f"\n{trace}" if trace else "")
    return f"{_now()} {mask_text(line)}"


def _now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_date_and_time(seconds)}.{nanoseconds // 1000:06d}Z"


@lru_cache(maxsize=1)
def _date_and_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _quote(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)


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
