"""The definition of a route: its input, its handler, and its possible responses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from marshmallow import fields

from evalserver.core.roles import Role
from evalserver.web.http.errors import Handler
from evalserver.web.http.requests import BodyLimit
from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import HeadersSchema, NoQuerySchema, StrictSchema
from evalserver.web.schemas.query_fields import QueryInteger
from evalserver.web.schemas.responses import ResponseSchema


@dataclass(frozen=True)
class Answer:
    """One answer that a route may give when all is well.

    With a schema it is JSON; with a media type alone, anything of that type; with neither, it has
    no body. ``headers`` holds what each header says that clients may use.
    """

    schema: type[ResponseSchema] | None = None
    media_type: str | None = None
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """A method and a path, who answers, and the schemas of the query, the headers that are read,
    and the JSON body, or the form of a page.

    ``role`` is what the sender of a request must at least have, and has to be said of every route;
    one that does not say it is for administrators.

    ``body_limit`` replaces the limit of the settings.

    A handler finds what they load under ``QUERY``, ``HEADERS`` and ``BODY`` of its request. The
    answers, and the statuses of the errors that the handler itself may raise, are for the
    description of the server; errors that any route may give, or any with a body, are not listed.
    The description also shows the docstrings of the handler and of its module.
    """

    method: str
    path: str
    handler: Handler
    query: type[StrictSchema] = NoQuerySchema
    body: type[StrictSchema] | None = None
    form: type[StrictSchema] | None = None
    headers: type[HeadersSchema] = HeadersSchema
    answers: tuple[Answer, ...] = ()
    errors: tuple[HTTPStatus, ...] = ()
    role: Role | None = None
    body_limit: BodyLimit | None = None


PATH_FIELDS: Mapping[str, fields.Field[Any]] = {
    "job_id": Text(longest=64, metadata=about("What `POST /evaluate` called the job.")),
    "batch_id": Text(longest=64, metadata=about("What `POST /batches` called the batch.")),
    "task": Text(longest=256, metadata=about("One of the job's tasks.")),
    "path": fields.String(metadata=about("The file's path, as the list of artifacts has it.")),
    "verdict_id": QueryInteger(1, 2**62, metadata=about("The number of the verdict.")),
    "gpu": Text(longest=128, metadata=about("The GPU's UUID or index.")),
    "webhook_id": Text(longest=64, metadata=about("What `POST /webhooks` called the webhook.")),
    "folder": Text(longest=64, metadata=about("What the file belongs to.")),
    "name": Text(longest=64, metadata=about("The token's name.")),
    "file": Text(longest=64, metadata=about("The file's name.")),
}
"""What each variable part of a path may be."""


def path_schema(path: str) -> type[StrictSchema]:
    """What the variable parts of a path may be: as PATH_FIELDS says, or any short text."""
    names = re.findall(r"\{(\w+)", path)
    schema = StrictSchema.from_dict({name: PATH_FIELDS.get(name, Text()) for name in names})
    return cast(type[StrictSchema], schema)
