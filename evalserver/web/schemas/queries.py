"""Schemas of query strings and headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
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
    """The limits that the settings put on requests: the names of engines, the longest time limit in
    seconds, the data directory, the directories of ``--allow-path`` and ``--task-path``, and those
    in which executors have their run directories."""

    engines: tuple[str, ...]
    max_timeout: float | None
    data_dir: Path
    allow_path: tuple[str, ...] = ()
    task_path: tuple[str, ...] = ()
    run_roots: tuple[Path, ...] = ()

    @property
    def places(self) -> AllowedDirectories:
        """The directories in which clients may name files."""
        return output_directories(self.data_dir, self.allow_path)


class StrictSchema(Schema):
    """Schema of input: unknown fields are rejected."""

    class Meta:
        unknown = RAISE

    EXAMPLE: ClassVar[Mapping[str, Any] | None] = None
    """The example of a body in the OpenAPI description."""
    CONSTRAINTS: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What JSON Schema says of the whole body, beyond its fields."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.bounds = bounds


class EngineName(Name):
    """The name of one of the server's engines."""

    def json_schema(self) -> JsonSchema:
        """The names; any name in a response, which may have an engine of the past."""
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

    engine = EngineName(
        metadata=about("Engine whose names are listed; default: the server's default engine.")
    )


class RefreshQuerySchema(StrictSchema):
    """The query of ``POST /catalog/refresh``."""

    engine = EngineName(metadata=about("Engine whose harness is asked; default: all engines."))


class LogQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}/log``."""

    tail = QueryInteger(0, 1_000_000, metadata=about("Only so many of the last lines."))
    offset = QueryInteger(0, 2**53, metadata=about("Start at this byte."))
    follow = QueryBoolean(metadata=about("Whether to follow the log until the job ends."))
    plain = QueryBoolean(
        metadata=about("Whether to turn progress bars and colours into plain lines.")
    )
    attempt = QueryInteger(
        1, 1_000_000, metadata=about("Number of the attempt; default: the latest.")
    )


class QueueQuerySchema(StrictSchema):
    """The query of ``GET /queue``."""

    limit = QueryInteger(
        0, 1_000_000, metadata=about("Maximum number of queued jobs to list; default: all.")
    )


class JobQuerySchema(StrictSchema):
    """The query of ``GET /jobs/{job_id}``."""

    wait = QuerySeconds(
        maximum=MAX_WAIT_SECONDS,
        metadata=about("Seconds to wait for the next event of the job; progress does not count."),
    )
    since = QueryEventId(
        metadata=about("The `event_id` that the client has; a newer record is returned at once.")
    )


class EventsQuerySchema(StrictSchema):
    """The query of ``GET /events``."""

    last_event_id = QueryEventId(
        metadata=about("Same as the header `Last-Event-ID`, for clients that cannot send it.")
    )


class JobEventsQuerySchema(EventsQuerySchema):
    """The query of ``GET /jobs/{job_id}/events``."""

    log = QueryBoolean(metadata=about("Whether to include the lines of the log."))


class HeadersSchema(StrictSchema):
    """The headers that a route reads; all others are ignored."""

    class Meta:
        unknown = EXCLUDE


class IfNoneMatchSchema(HeadersSchema):
    """The headers of a route whose response seldom changes."""

    if_none_match = Header(
        longest=1024,
        data_key="If-None-Match",
        metadata=about("The `ETag` of a response that the client has: 304 if it is still current."),
    )


class LogHeadersSchema(HeadersSchema):
    """The headers of ``GET /jobs/{job_id}/log``."""

    range = Header(
        longest=1024,
        data_key="Range",
        metadata=about("`bytes=FROM-TO` of the log as it is now; other ranges are ignored."),
    )


class JobHeadersSchema(IfNoneMatchSchema):
    """The headers of ``GET /jobs/{job_id}``."""

    prefer = Header(
        longest=1024,
        data_key="Prefer",
        metadata=about("`wait=SECONDS`: same as the query key `wait` (RFC 7240)."),
    )


class EvaluateQuerySchema(StrictSchema):
    """The query of ``POST /evaluate``."""

    # Schemas have a method ``validate`` of their own.
    checked = QueryBoolean(
        data_key="validate",
        metadata=about("Whether to reject unknown models and tasks, and missing checkpoints."),
    )
    dry_run = QueryBoolean(
        metadata=about("Whether to return the command line that would run, without queueing.")
    )


class EvaluateHeadersSchema(HeadersSchema):
    """The headers of ``POST /evaluate``."""

    idempotency_key = Header(
        longest=255,
        data_key="Idempotency-Key",
        metadata=about("Key of the submission: the same key and body return the same job."),
    )


class BatchQuerySchema(EvaluateQuerySchema):
    """The query of ``POST /batches``."""

    dry_run = QueryBoolean(
        metadata=about("Whether to return the requests, checked and expanded, without queueing.")
    )


class BatchStateQuerySchema(StrictSchema):
    """The query of ``GET /batches/{batch_id}``."""

    wait = QuerySeconds(
        maximum=MAX_WAIT_SECONDS, metadata=about("Seconds to wait for the end of all jobs.")
    )


class BatchHeadersSchema(HeadersSchema):
    """The headers of ``POST /batches``."""

    idempotency_key = Header(
        longest=255,
        data_key="Idempotency-Key",
        metadata=about("Key of the batch: the same key and body return the same batch."),
    )


class EventsHeadersSchema(HeadersSchema):
    """The headers of the streams of events."""

    last_event_id = QueryEventId(
        data_key="Last-Event-ID",
        metadata=about("The last event that the client has seen; newer ones follow."),
    )

    @pre_load
    def _empty_is_absent(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        # Some clients send an empty header before they have seen an event.
        return {name: value for name, value in data.items() if value}
