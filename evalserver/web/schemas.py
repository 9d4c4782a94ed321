"""What comes in beside a request to evaluate: the marshmallow schemas of queries and headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from marshmallow import EXCLUDE, RAISE, Schema, ValidationError

from evalserver.names import did_you_mean
from evalserver.web.fields import Header, JsonSchema, Name, about


@dataclass(frozen=True)
class Bounds:
    """What the server's settings allow in a request: the names of engines, the longest time limit
    in seconds, and the directory in which no output may lie."""

    engines: tuple[str, ...]
    max_timeout: float | None
    data_dir: Path


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
        known = self._known()
        return {"type": "string", "enum": list(known)} if known else super().json_schema()

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        name = super()._deserialize(value, attr, data, **kwargs)
        known = self._known()
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValidationError(
                f"There is no engine {name!r}.{hint} Known engines: {', '.join(known)}."
            )
        return name

    def _known(self) -> tuple[str, ...]:
        return self.root.bounds.engines if isinstance(self.root, StrictSchema) else ()


class NoQuerySchema(StrictSchema):
    """The query of a route that takes none."""


class CatalogQuerySchema(StrictSchema):
    """The query of ``GET /tasks`` and ``GET /models``."""

    engine = EngineName(metadata=about("Which harness is asked; the server's default if absent."))


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
