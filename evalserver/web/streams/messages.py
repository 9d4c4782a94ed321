"""What a stream says, as the lines of server-sent events."""

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
    """The beginning of a stream: when to come back after a break, and from where."""
    return f"retry: {RECONNECT_MS}\nid: {last_event_id}\n\n".encode()


def status_message(event: Event) -> bytes:
    """One event of the audit log; its id is what a reader names to go on behind it."""
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
    """How far a job is. It has no id: who comes back is told events, and the newest progress."""
    return _message("progress", {"job_id": job_id, **asdict(progress)})


def log_message(job_id: str, attempt: int, piece: LogPiece) -> bytes:
    """New text of an attempt's log, and where in the log it begins, in bytes."""
    data = {"job_id": job_id, "attempt": attempt, "offset": piece.offset, "text": piece.text}
    return _message("log", data)


def end_message(job_id: str, status: Status) -> bytes:
    """The last message of a job's stream."""
    return _message("end", {"job_id": job_id, "status": status})


def comment(text: str) -> bytes:
    """A line that clients pass over, and people read."""
    return f": {' '.join(text.split())}\n\n".encode()


HEARTBEAT = comment("still here")
STOPPING = comment("the server stops; come back with the last id")
DROPPED = comment("dropped: you read too slowly; come back with the last id, and miss nothing")


def _message(kind: str, data: dict[str, Any]) -> bytes:
    # JSON as it is written here has no line breaks, which would end the data.
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), dump(data))
