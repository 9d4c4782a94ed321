"""Every field of a request with every engine: it is either used or rejected by name."""

from typing import Any

import pytest

from evalserver.core.request import REQUEST_FIELDS, EvaluateRequest
from evalserver.core.request_fields import Addressee
from evalserver.engines import Command, Engine, EngineSettings, Paths, make_engines
from evalserver.engines.command_table import CACHE, FIELDS
from tests.engines.commands import command

ARGV = ["python3", "{pretrained}", *(f"--{name}={{{name}}}" for name in (*FIELDS, CACHE))]
PARAMETERS = {"pretrained": {"type": "string"}}

ENGINES = make_engines(
    "python3",
    None,
    {
        "without_places": {"type": "command", "argv": ["python3"]},
        "with_places": {"type": "command", "argv": ARGV, "parameters": PARAMETERS},
    },
)
EVALUATING = [name for name in ENGINES if name != "merge"]

HARNESS_FIELDS = [
    name
    for name, row in REQUEST_FIELDS.items()
    if row.addressee is Addressee.HARNESS and not row.required
]
SERVER_FIELDS = [name for name, row in REQUEST_FIELDS.items() if row.addressee is Addressee.SERVER]

USED_AFTER_THE_RUN = {("without_places", "log_samples"), ("with_places", "log_samples")}
"""``command`` leaves samples files out of the results; the program does not get the field."""


class AcceptsNothing(Engine):
    """An engine whose harness accepts only a model and tasks."""

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return a command with the model and the tasks."""
        return Command(("true", request.model, *request.tasks))


def request(**fields: Any) -> EvaluateRequest:
    """Return a request with these fields."""
    return EvaluateRequest(**{"model": "dummy", "tasks": ("mme",), **fields})


@pytest.mark.parametrize("engine", EVALUATING)
@pytest.mark.parametrize("field", HARNESS_FIELDS)
def test_a_field_of_the_harness_is_used_or_rejected(field: str, engine: str) -> None:
    value = REQUEST_FIELDS[field].example

    faults = ENGINES[engine].find_faults(request(**{field: value}))

    if faults:
        assert {name.partition(".")[0] for name in faults} == {field}
    elif (engine, field) not in USED_AFTER_THE_RUN:
        built = command(ENGINES[engine], **{field: value})
        assert built != command(ENGINES[engine], **_unset(field))


def _unset(field: str) -> dict[str, Any]:
    """Return the fields of a request that does not use this field; the default of caching
    depends on the engine."""
    return {"use_cache": False} if field == "use_cache" else {}


@pytest.mark.parametrize("field", HARNESS_FIELDS)
def test_an_engine_rejects_what_it_does_not_declare(field: str) -> None:
    engine = AcceptsNothing(EngineSettings("bare", "bare", "python3"))

    faults = engine.find_faults(request(**{field: REQUEST_FIELDS[field].example}))

    assert faults == {field: "The engine bare does not accept this field."}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_no_engine_rejects_a_field_of_the_server(field: str, engine: str) -> None:
    assert ENGINES[engine].find_faults(request(**{field: REQUEST_FIELDS[field].example})) == {}


@pytest.mark.parametrize(
    "value", [(name, value) for name in HARNESS_FIELDS for value in REQUEST_FIELDS[name].neutral]
)
def test_a_value_without_effect_is_accepted_by_every_engine(value: tuple[str, Any]) -> None:
    engine = AcceptsNothing(EngineSettings("bare", "bare", "python3"))

    assert engine.find_faults(request(**dict([value]))) == {}


@pytest.mark.parametrize("engine", EVALUATING)
def test_an_engine_declares_only_fields_of_the_harness(engine: str) -> None:
    assert ENGINES[engine].accepts <= set(HARNESS_FIELDS)


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ({"type": "command", "argv": ["python3"], "defaults": {"use_cache": True}}, "use_cache"),
        ({"type": "inspect", "defaults": {"device": "cuda:0"}}, "device"),
    ],
)
def test_a_default_that_an_engine_does_not_accept_prevents_the_start(
    table: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValueError, match=rf"engines\.own\.defaults\.{field}: the engine does not"):
        make_engines("python3", None, {"own": table})
