"""What the queries of pages with samples have beyond those of the API."""

from typing import Any

from marshmallow import fields, pre_load, validate

from evalserver.web.schemas.fields import Text, about
from evalserver.web.schemas.queries import StrictSchema

MAX_BACK = 20
"""How many pages the link to the previous page leads back, one by one."""


class SamplesFormSchema(StrictSchema):
    """A query from a form, where empty fields count as absent, with the pages before."""

    back = fields.List(
        Text(longest=256),
        load_default=[],
        validate=validate.Length(max=MAX_BACK, error="Must be given at most {max} times."),
        metadata=about("The cursors of the pages before, the first page excepted."),
    )

    @pre_load
    def _drop_empty(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value != ""}
