"""The messages of an event stream, as server-sent events."""

from dataclasses import asdict
from typing import Any

from evalserver.core.lifecycle import Status
from evalserver.core.masking import masked
from evalserver.monitoring.log_tail import LogPiece
from evalserver.monitoring.progress import Progress
from evalserver.store import Event
from evalserver.web.http.responses import dump

RECONNECT_MS = 2000


def opening(last_event_id: int) -> bytes:
    """The first message of a stream: when to reconnect after an interruption, and from where."""
    return f"retry: {RECONNECT_MS}\nid: {last_event_id}\n\n".encode()


def status_message(event: Event) -> bytes:
    """One event of the audit log; a client names its id to resume after it."""
    data = {
        "event_id": event.event_id,
        "at": event.at,
        "job_id": event.job_id,
        "event": event.event,
        "from": event.from_status,
        "to": event.to_status,
        "attempt": event.attempt,
        "actor": event.actor,
        "detail": masked(event.detail),
    }
    return b"id: %d\n%s" % (event.event_id, _message("status", data))


def progress_message(job_id: str, progress: Progress) -> bytes:
    """The progress of a job. It has no id: after a reconnect, the client gets the latest
    progress."""
    return _message("progress", {"job_id": job_id, **asdict(progress)})


def log_message(job_id: str, attempt: int, piece: LogPiece) -> bytes:
    """New text of an attempt's log, and its offset in the log, in bytes."""
    data = {"job_id": job_id, "attempt": attempt, "offset": piece.offset, "text": piece.text}
    return _message("log", data)


def end_message(job_id: str, status: Status) -> bytes:
    """The last message of a job's stream."""
    return _message("end", {"job_id": job_id, "status": status})


def comment(text: str) -> bytes:
    """A line that clients ignore, for people who read the stream."""
    return f": {' '.join(text.split())}\n\n".encode()


HEARTBEAT = comment("heartbeat")
STOPPING = comment("the server is stopping; reconnect with the last id")
DROPPED = comment("disconnected: reading too slowly; reconnect with the last id to miss nothing")


def _message(kind: str, data: dict[str, Any]) -> bytes:
    # orjson writes no line breaks, which would end the data.
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dump(data))
