"""An operator's program: requests fill the placeholders of its command line, nothing else."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from evalserver.core.request import EvaluateRequest
from evalserver.engines import Engine, Question, make_engines
from evalserver.engines.command import CommandEngine
from evalserver.engines.settings import EngineSettings
from tests.engines.commands import PATHS, TEXTS, VALUES, command

PARAMETERS: dict[str, Any] = {
    "beams": {"type": "integer", "min": 1, "max": 8, "default": 2},
    "rate": {"type": "number", "min": 0},
    "mode": {"type": "choice", "choices": ["fast", "exact"]},
    "greedy": {"type": "boolean"},
    "note": {"type": "string"},
    "checkpoint": {"type": "path"},
}
ARGV = [
    "/opt/eval", "--out={output_dir}", "--model={model}", "--tasks={tasks}", "--beams={beams}",
    "--rate={rate}", "--mode={mode}", "--greedy={greedy}", "{note}", "--from={checkpoint}",
    "--limit={limit}",
]  # fmt: skip


def engine(**options: Any) -> Engine:
    """Return an engine whose table has these options."""
    table = {"argv": ARGV, "parameters": PARAMETERS, **options}
    return CommandEngine(EngineSettings("own", "command", "python3", options=table))


def find_faults(model_args: dict[str, Any], **fields: Any) -> dict[str, str]:
    """Return the engine's errors for a request."""
    return engine().find_faults(EvaluateRequest("m", ("t",), model_args=model_args, **fields))


def test_placeholders_are_filled_and_items_without_a_value_are_left_out() -> None:
    model_args = {"mode": "fast", "greedy": True}

    built = command(engine(), model="m", tasks=("a", "b"), model_args=model_args, limit=5)

    assert built.argv == (
        "/opt/eval", f"--out={PATHS.output_dir}", "--model=m", "--tasks=a,b", "--beams=2",
        "--mode=fast", "--greedy=true", "--limit=5",
    )  # fmt: skip


@given(VALUES)
def test_any_value_is_rejected_or_becomes_one_argument_and_never_a_flag(value: Any) -> None:
    for name in PARAMETERS:
        if find_faults({name: value}):
            continue
        built = command(engine(), model_args={name: value})
        fixed = command(engine(), model_args={})
        assert len(built.argv) <= len(fixed.argv) + 1
        more = set(built.argv) - set(fixed.argv)
        assert all(
            each.startswith(f"--{_flag(name)}=") or not each.startswith("-") for each in more
        )


def _flag(name: str) -> str:
    return "from" if name == "checkpoint" else name


@pytest.mark.parametrize("text", [text for text in TEXTS if text.startswith("-")])
def test_a_text_that_would_be_a_flag_is_rejected(text: str) -> None:
    assert list(find_faults({"note": text})) == ["model_args.note"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beams", 9), ("beams", 0), ("beams", True), ("beams", "2"), ("rate", -0.5),
        ("mode", "fest"),
        ("greedy", 1), ("note", "a\nb"), ("note", ""), ("checkpoint", "relative"),
        ("checkpoint", "/data/../etc"), ("unknown", 1),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_rejected(name: str, value: object) -> None:
    assert list(find_faults({name: value})) == [f"model_args.{name}"]


def test_a_missing_required_parameter_is_reported() -> None:
    parameters = {**PARAMETERS, "mode": {**PARAMETERS["mode"], "required": True}}
    request = EvaluateRequest("m", ("t",))

    assert list(engine(parameters=parameters).find_faults(request)) == ["model_args.mode"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("seed", 1), ("num_fewshot", 0), ("gen_kwargs", {"a": 1}), ("predict_only", True)],
)
def test_a_field_without_a_placeholder_is_rejected(field: str, value: object) -> None:
    assert list(find_faults({}, **{field: value})) == [field]


def test_use_cache_is_rejected_without_a_placeholder_for_the_cache() -> None:
    assert list(find_faults({}, use_cache=True)) == ["use_cache"]


@pytest.mark.parametrize(("use_cache", "given"), [(None, True), (True, True), (False, False)])
def test_the_cache_is_passed_unless_the_request_disables_it(
    use_cache: bool | None, given: bool
) -> None:
    own = engine(argv=["/opt/eval", "--cache={cache_dir}"], parameters={})

    built = command(own, use_cache=use_cache)

    assert (f"--cache={PATHS.cache_dir}" in built.argv) is given


def test_no_limit_needs_no_placeholder() -> None:
    own = engine(argv=["/opt/eval", "{tasks}"], parameters={})

    assert own.find_faults(EvaluateRequest("m", ("t",), limit=-1)) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"argv": []}, "must begin with a program"),
        ({"argv": ["/opt/eval", "{beems}"]}, r"Did you mean 'beams'"),
        ({"argv": ["/opt/{mode}"]}, "a request must not choose the program"),
        ({"argv": ["/opt/eval", "{mode!r}"]}, "a placeholder is a name in braces"),
        ({"argv": ["/opt/eval", "{"]}, r"argv: '\{'"),
        ({"parameters": {"model": {}}, "argv": ["/opt/eval"]}, "name of a built-in placeholder"),
        ({"argv": ["/opt/eval"]}, "beams has no placeholder in argv"),
        ({"parameters": {"a": {"type": "int"}}}, "must be one of string, integer"),
        ({"parameters": {"a": {"typ": "string"}}}, "Did you mean 'type'"),
        ({"results": "/etc/passwd"}, "below the output directory"),
        ({"samples": "samples.jsonl"}, "must have {task} in it once"),
        ({"progress": "word .*"}, r"must have a group \(\?P<done>"),
        ({"sample": "x"}, "Did you mean 'samples'"),
    ],
)
def test_an_invalid_table_is_rejected_with_a_readable_message(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        engine(**options)


def test_the_tasks_are_those_of_the_table(tmp_path: Path) -> None:
    own = engine(tasks=["a", "b"])

    *_, names = own.question_argv(Question.TASKS)

    assert own.parse_answer(names) == ["a", "b"]


def test_a_table_creates_an_engine_with_its_name() -> None:
    table = {"type": "command", "argv": ["/opt/eval"]}

    assert make_engines("python3", None, {"own": table})["own"].name == "own"
