"""``GET /openapi.json``: complete and valid, with correct examples and constraints."""

import inspect
import json
import re
from collections import Counter
from typing import Any

import openapi_spec_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError, fields

from evalserver.web.http.route import PATH_FIELDS, Answer, Route
from evalserver.web.openapi import describe, operation_id, summary_of
from evalserver.web.routes import ROUTES
from evalserver.web.schemas.evaluate_request import EvaluateSchema
from evalserver.web.schemas.queries import StrictSchema
from evalserver.web.schemas.responses import ResponseSchema
from tests.conformance.answers import BOUNDS, Json, description, faults
from tests.support import Api

every_route = pytest.mark.parametrize(
    "route", ROUTES, ids=lambda route: f"{route.method} {route.path}"
)


def missing_from(route: Route) -> list[str]:
    """Return what a route's row lacks for its description, one sentence each."""
    row = f"{route.method} {route.path}"
    handler = f"{route.handler.__module__}.{route.handler.__name__}"
    found = []
    if not route.answers:
        found.append(
            f"{row} does not say what it answers: add answers=(Answer(SomeSchema),) to its row, "
            "or Answer(media_type=...) for what is not JSON."
        )
    if not (inspect.getdoc(route.handler) or "").startswith(f"``{row}``: "):
        found.append(f"{handler} needs a docstring that begins with ``{row}``: and a sentence.")
    if not summary_of(route)[0]:
        found.append(f"{handler} needs a sentence in its docstring, behind ``{row}``:.")
    for answer in route.answers:
        if answer.schema is not None and answer.schema.EXAMPLE is None:
            found.append(f"{answer.schema.__name__} needs an EXAMPLE, since {row} answers with it.")
    if route.body is not None and route.body.EXAMPLE is None:
        found.append(f"{route.body.__name__} needs an EXAMPLE, since {row} takes it.")
    for name in re.findall(r"\{(\w+)", route.path):
        if name not in PATH_FIELDS:
            found.append(f"{{{name}}} of {row} needs a row in PATH_FIELDS of web/http/route.py.")
    for schema in (route.query, route.headers, *([route.body] if route.body else [])):
        for name, field in schema(BOUNDS).fields.items():
            if "description" not in field.metadata:
                found.append(f"{schema.__name__}.{name} needs metadata=about(...).")
    return found + _undescribed_fields(route)


def _undescribed_fields(route: Route) -> list[str]:
    """Return the fields whose constraints are unknown."""
    document = describe([route], BOUNDS)
    [operation] = next(iter(document["paths"].values())).values()
    schemas = {each["name"]: each["schema"] for each in operation["parameters"]}
    if route.body is not None:
        name = route.body.__name__.removesuffix("Schema")
        schemas |= document["components"]["schemas"][name]["properties"]
    return [
        f"The field {name} of {route.method} {route.path} needs a method json_schema that says "
        "what it takes, as those of web/schemas/fields.py have."
        for name, schema in schemas.items()
        if not schema.keys() & {"type", "anyOf", "enum"}
    ]


@every_route
def test_every_route_is_described(route: Route) -> None:
    assert missing_from(route) == []


def test_a_row_that_lacks_everything_reports_what_to_add() -> None:
    async def handler(request: Any) -> Any:
        return request

    class BareField(fields.Field[str]):
        pass

    class BareSchema(StrictSchema):
        nameless = BareField()

    class BareAnswerSchema(ResponseSchema):
        pass

    row = Route("GET", "/x/{y}", handler, body=BareSchema)
    answers = (Answer(BareAnswerSchema),)

    sentences = missing_from(row)
    sentences += missing_from(Route("GET", "/x", handler, answers=answers))

    for expected in (
        "add answers=", "begins with ``GET /x/{y}``", "BareSchema needs an EXAMPLE",
        "BareAnswerSchema needs an EXAMPLE", "{y} of GET /x/{y} needs a row in PATH_FIELDS",
        "BareSchema.nameless needs metadata", "The field nameless of GET /x/{y} needs a method",
    ):  # fmt: skip
        assert any(expected in sentence for sentence in sentences), expected


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(description())


def test_operation_ids_are_unique() -> None:
    names = Counter(operation_id(route) for route in ROUTES)

    assert [name for name, count in names.items() if count > 1] == []


async def test_the_server_serves_the_document(api: Api) -> None:
    found = await api.call("GET", "/openapi.json")

    assert found["openapi"].startswith("3.1.")
    assert set(found["paths"]) == set(description()["paths"])


@every_route
def test_the_example_of_a_body_is_accepted(route: Route) -> None:
    if route.body is None or route.body.EXAMPLE is None:
        return
    example = json.loads(json.dumps(dict(route.body.EXAMPLE)))

    route.body(BOUNDS).load(example)

    name = route.body.__name__.removesuffix("Schema")
    assert faults({"$ref": f"#/components/schemas/{name}"}, example) == []


def _examples() -> list[Json]:
    """Collect every schema of the document that has an example."""
    found: list[Json] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if "example" in value and "schema" in value:
                found.append(value)
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                collect(each)

    collect(description())
    return found


@pytest.mark.parametrize("content", _examples(), ids=lambda content: content["schema"].get("$ref"))
def test_an_example_matches_its_schema(content: Json) -> None:
    assert faults(content["schema"], content["example"]) == []


def test_the_engines_are_those_of_the_server() -> None:
    [parameter] = description()["paths"]["/tasks"]["get"]["parameters"]

    assert parameter["schema"]["enum"] == ["lmms_eval", "lm_eval"]


def test_a_field_with_a_default_states_it() -> None:
    properties = description()["components"]["schemas"]["Evaluate"]["properties"]

    assert properties["num_gpus"] == {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 1024,
        "default": 1,
        "description": "GPUs that the evaluation needs; 0 for a model behind an API.",
    }


TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=" -~./\\,'\"[]{}=ab1:\n\u00a0\u200b", max_size=12),
    st.from_regex(r"auto(:\d{1,12})?|\d{1,12}", fullmatch=True),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63),
        # A whole float is an integer for JSON Schema, but not for the server.
        st.floats(-2, 1e9).filter(lambda number: not number.is_integer()),
        TEXTS,
    ),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)
PROPERTIES = sorted(EvaluateSchema(BOUNDS).fields)


@given(name=st.sampled_from(PROPERTIES), value=VALUES)
def test_a_field_accepts_exactly_what_its_schema_describes(name: str, value: Any) -> None:
    schema = description()["components"]["schemas"]["Evaluate"]["properties"][name]

    assert _is_accepted(name, value) == (faults(schema, value) == []) or _is_inexpressible(
        name, value
    )


def _is_accepted(name: str, value: Any) -> bool:
    body = {"model": "dummy", "tasks": ["mme"], name: value}
    try:
        EvaluateSchema(BOUNDS).load(body)
    except ValidationError:
        return False
    return True


def _is_inexpressible(name: str, value: Any) -> bool:
    """Whether a value is one of those that no regular expression can express."""
    if name == "tasks":
        return any(re.search(r"\.(ya?ml|py|json)$", each, re.IGNORECASE) for each in value)
    if name == "output_dir":
        return ".." in value
    return name == "gen_kwargs" and isinstance(value, str) and bool(set(value) & set("[]{}'\""))
