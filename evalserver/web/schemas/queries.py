"""What comes in beside a request to evaluate: the marshmallow schemas of queries and headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, pre_load

from evalserver.core.suggestions import did_you_mean
from evalserver.system.allowed_directories import AllowedDirectories, output_directories
from evalserver.web.schemas.fields import Header, JsonSchema, Name, about
from evalserver.web.schemas.query_fields import (
    QueryBoolean,
    QueryEventId,
    QueryInteger,
    QuerySeconds,
)

MAX_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Bounds:
    """What the server's settings allow in a request: the names of engines, the longest time limit
    in seconds, the data directory, and the directories of ``--allow-path`` and ``--task-path``."""

    engines: tuple[str, ...]
    max_timeout: float | None
    data_dir: Path
    allow_path: tuple[str, ...] = ()
    task_path: tuple[str, ...] = ()

    @property
    def places(self) -> AllowedDirectories:
        """Where clients may have files of theirs written and read."""
        return output_directories(self.data_dir, self.allow_path)


class StrictSchema(Schema):
    """A schema of what comes in: it refuses what it does not know."""

    class Meta:
        unknown = RAISE

    EXAMPLE: ClassVar[Mapping[str, Any] | None] = None
    """What the description of the server shows, of a body."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds


class EngineName(Name):
    """The name of one of the server's engines."""

    def json_schema(self) -> JsonSchema:
        """The names; in an answer, which may tell of an engine that is no more, any."""
        known = self._known_names()
        return {"type": "string", "enum": list(known)} if known else super().json_schema()

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        known = self._known_names()
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValidationError(
                f"There is no engine {name!r}.{hint} Known engines: {', '.join(known)}."
            )
        return name

    def _known_names(self) -> tuple[str, ...]:
        return self.root.bounds.engines if isinstance(self.root, StrictSchema) else ()


class NoQuerySchema(StrictSchema):
    """The query of a route that takes none."""


class CatalogQuerySchema(StrictSchema):
    """The query of ``GET /tasks`` and ``GET /models``."""

    engine = EngineName(metadata=about("Which harness is asked; the server's default if absent."))


class LogQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/log``."""

    tail = QueryInteger(0, 1_000_000, metadata=about("So many of the last lines."))
    offset = QueryInteger(0, 2**53, metadata=about("Not what comes before this byte."))
    follow = QueryBoolean(metadata=about("Whether to go on until the job has ended."))
    plain = QueryBoolean(metadata=about("Whether bars and colours become plain lines."))
    attempt = QueryInteger(1, 1_000_000, metadata=about("Which attempt; the latest if absent."))


class QueueQuerySchema(StrictSchema):
    """The query of ``GET /queue``."""

    limit = QueryInteger(
        0, 1_000_000, metadata=about("So many of the jobs that wait; all if it is absent.")
    )


class JobQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}``."""

    wait = QuerySeconds(
        maximum=MAX_WAIT_SECONDS,
        metadata=about("Seconds to wait for the next event of the job; progress is none."),
    )
    since = QueryEventId(
        metadata=about("The `event_id` that the client knows: what is newer is answered at once.")
    )


class EventsQuerySchema(StrictSchema):
    """The query of ``GET /events``."""

    last_event_id = QueryEventId(
        metadata=about("As the header `Last-Event-ID`, for those who cannot send it.")
    )


class JobEventsQuerySchema(EventsQuerySchema):
    """The query of ``GET /jobs/{job_id}/events``."""

    log = QueryBoolean(metadata=about("Whether the lines of the log are told too."))


class HeadersSchema(StrictSchema):
    """The headers that a route reads; a request has many others, which are none of its business."""

    class Meta:
        unknown = EXCLUDE


class IfNoneMatchSchema(HeadersSchema):
    """The headers of a route whose answer seldom changes."""

    if_none_match = Header(
        longest=1024,
        data_key="If-None-Match",
        metadata=about("The `ETag` of an answer that the client has: 304 when it is still so."),
    )


class LogHeadersSchema(HeadersSchema):
    """The headers of ``GET /jobs/{job_id}/log``."""

    range = Header(
        longest=1024,
        data_key="Range",
        metadata=about(
            "`bytes=FROM-TO`, of the whole log as it is; other ranges are not looked at."
        ),
    )


class JobHeadersSchema(IfNoneMatchSchema):
    """The headers of ``GET /jobs/{job_id}``."""

    prefer = Header(
        longest=1024,
        data_key="Prefer",
        metadata=about("`wait=SECONDS` does what the query key `wait` does (RFC 7240)."),
    )


class EvaluateQuerySchema(StrictSchema):
    """The query of ``POST /evaluate``."""

    # Schemas have a method ``validate`` of their own.
    checked = QueryBoolean(
        data_key="validate",
        metadata=about(
            "Whether models, tasks and checkpoints are refused that are not known or not there."
        ),
    )
    dry_run = QueryBoolean(
        metadata=about("Whether to tell the command line that would run, and to queue nothing.")
    )


class EvaluateHeadersSchema(HeadersSchema):
    """The headers of ``POST /evaluate``."""

    idempotency_key = Header(
        longest=255,
        data_key="Idempotency-Key",
        metadata=about("Names the submission: sent again with the same body, it is the same job."),
    )


class EventsHeadersSchema(HeadersSchema):
    """The headers of the streams of events."""

    last_event_id = QueryEventId(
        data_key="Last-Event-ID",
        metadata=about("The last event that the client has seen: it is told what came after."),
    )

    @pre_load
    def _empty_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        # Some who read streams send the header before they have seen anything.
        return {name: value for name, value in data.items() if value}
