"""lmms-eval's command line: every field reaches it, and what a client sends stays a value."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from evalserver.engines import Command, Question, in_harness
from evalserver.engines.harness import CONFIG_FILE
from evalserver.engines.in_harness import lmms_eval_exact
from evalserver.engines.lmms_eval import LmmsEval
from tests.engines.commands import (
    ARGUMENTS,
    PATHS,
    TEXTS,
    VALUES,
    command,
    exactly,
    flags,
    settings,
)

ENGINE = LmmsEval(settings())
LONGEST_ARGUMENT = 128 * 1024
"""In bytes, of one argument of a program on Linux."""
LAUNCHER = str(Path(in_harness.__file__).with_name("lmms_eval_launcher.py"))
PLAIN = ("python", LAUNCHER)
LAUNCH = (
    "-m", "accelerate.commands.launch", "--multi_gpu",
    "--num_processes", "4", "--num_machines", "1",
)  # fmt: skip

FIELDS = {
    "model": ({"model": "qwen2_vl"}, {"model": "qwen2_vl"}),
    "tasks": ({"tasks": ("mme", "mmmu_val")}, {"tasks": "mme,mmmu_val"}),
    "model_args": ({"model_args": {"a": "b", "c": 1}}, {"model_args": "a=b,c=1"}),
    "num_fewshot": ({"num_fewshot": 0}, {"num_fewshot": "0"}),
    "batch_size": ({"batch_size": 8}, {"batch_size": "8"}),
    "batch_size auto": ({"batch_size": "auto:4"}, {"batch_size": "auto:4"}),
    "device": ({"device": "cuda:1"}, {"device": "cuda:1"}),
    "limit": ({"limit": 5}, {"limit": "5"}),
    "limit fraction": ({"limit": 0.25}, {"limit": "0.25"}),
    "limit all": ({"limit": -1}, {"limit": "-1"}),
    "seed": ({"seed": 7}, {"seed": "7"}),
    "gen_kwargs text": ({"gen_kwargs": "temperature=0"}, {"gen_kwargs": "temperature=0"}),
    "gen_kwargs": ({"gen_kwargs": {"temperature": 0}}, {"gen_kwargs": "temperature=0"}),
    "use_cache": ({"use_cache": True}, {"use_cache": str(PATHS.cache_dir)}),
    "predict_only": ({"predict_only": True}, {"predict_only": True}),
}
ALWAYS = {
    "model": "dummy",
    "tasks": "mme",
    "output_path": str(PATHS.output_dir),
    "log_samples": True,
}


@pytest.mark.parametrize(("fields", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_a_field_of_the_request_reaches_the_harness(
    fields: dict[str, object], expected: dict[str, object]
) -> None:
    assert flags(command(ENGINE, **fields), *PLAIN) == {**ALWAYS, **expected}


def test_samples_are_not_logged_when_nobody_wants_them() -> None:
    assert "log_samples" not in flags(command(ENGINE, log_samples=False), *PLAIN)


def test_tasks_beside_the_harnesss_own_are_included() -> None:
    engine = LmmsEval(settings(include_path="/my/tasks"))

    assert flags(command(engine), *PLAIN)["include_path"] == "/my/tasks"


def test_several_gpus_are_ranks_that_accelerate_launches() -> None:
    launched = command(ENGINE, num_gpus=4, device="cuda")

    found = flags(launched, "python", *LAUNCH, LAUNCHER)
    assert found == {**ALWAYS, "device": "cuda"}


def test_several_gpus_and_exact_arguments_go_together() -> None:
    launched = command(ENGINE, num_gpus=4, model_args={"a": [1]})

    assert "config" in flags(launched, "python", *LAUNCH, LAUNCHER)


def test_the_output_directory_is_made_beforehand() -> None:
    assert command(ENGINE).directories == (PATHS.output_dir,)


def test_the_response_cache_is_made_beforehand() -> None:
    assert command(ENGINE, use_cache=True).directories == (PATHS.output_dir, PATHS.cache_dir)


def test_what_flags_can_carry_needs_no_configuration_file() -> None:
    given = {"pretrained": "org/model-7b", "dtype": "bfloat16", "n": 2, "x": 0.5, "on": True}

    plain = command(ENGINE, model_args=given)

    assert plain.files == {}
    assert "config" not in flags(plain, *PLAIN)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", ["model", "device"])
def test_a_text_is_one_value_and_never_another_flag(field: str, text: str) -> None:
    assert flags(command(ENGINE, **{field: text}), *PLAIN) == {**ALWAYS, field: text}


@given(model_args=ARGUMENTS, gen_kwargs=ARGUMENTS)
@example(model_args={"a": "x,trust_remote_code=True"}, gen_kwargs={})
@example(model_args={"a": "line\nbreak", "b": ["--tasks=evil"]}, gen_kwargs={"c": -1})
@example(model_args={"a": "evalserver-json:1", "b": None}, gen_kwargs={})
def test_the_harness_reads_arguments_as_they_were_sent(
    model_args: dict[str, object], gen_kwargs: dict[str, object]
) -> None:
    built = command(ENGINE, model_args=model_args, gen_kwargs=gen_kwargs)

    assert exactly(_as_read(built, "model_args")) == exactly(model_args)
    assert exactly(_as_read(built, "gen_kwargs")) == exactly(gen_kwargs)


@pytest.mark.parametrize("text", ["a ", " a", " a ", "a\t"])
@pytest.mark.parametrize("name", ["model_args", "gen_kwargs"])
def test_white_space_at_the_ends_of_a_value_reaches_the_harness(name: str, text: str) -> None:
    built = command(ENGINE, **{name: {"first": text, "last": text}})

    assert _as_read(built, name) == {"first": text, "last": text}


@pytest.mark.parametrize("name", ["model_args", "gen_kwargs"])
def test_no_argument_is_longer_than_linux_takes(name: str) -> None:
    given = {f"a{number}": "x" * 1000 for number in range(200)}

    built = command(ENGINE, **{name: given})

    assert max(map(len, built.argv)) < LONGEST_ARGUMENT
    assert _as_read(built, name) == given


@given(st.sampled_from(["api_key", "API_KEY", "hf_token", "client_secret", "password"]))
def test_a_secret_is_never_on_the_command_line(name: str) -> None:
    built = command(ENGINE, model_args={"model": "gpt", name: "sk-123"})

    assert "sk-123" not in " ".join(built.argv)
    assert _as_read(built, "model_args") == {"model": "gpt", name: "sk-123"}


def test_a_password_in_an_address_is_never_on_the_command_line() -> None:
    address = "http://someone:opensesame@model.lab/v1"

    built = command(ENGINE, model_args={"base_url": address})

    assert "opensesame" not in " ".join(built.argv)
    assert _as_read(built, "model_args") == {"base_url": address}


def test_a_secret_below_another_argument_is_never_on_the_command_line() -> None:
    built = command(ENGINE, model_args={"headers": {"Authorization": "sk-123"}})

    assert "sk-123" not in " ".join(built.argv)


@given(VALUES)
def test_an_encoded_value_decodes_to_itself(value: object) -> None:
    assert exactly(lmms_eval_exact.decode(lmms_eval_exact.encode(value))) == exactly(value)


@given(VALUES)
def test_an_encoded_value_has_nothing_that_lmms_eval_would_split_at(value: object) -> None:
    encoded = lmms_eval_exact.encode(value)

    assert encoded.isascii()
    assert encoded.isprintable()
    assert not set(encoded) & set(" ,'\"[]{}=\\")


@pytest.mark.parametrize("question", Question)
def test_a_question_is_asked_with_the_harnesss_own_python(question: Question) -> None:
    python, dash_c, code, include_path = LmmsEval(settings("/env/python", "/my")).question_argv(
        question
    )

    assert (python, dash_c, include_path) == ("/env/python", "-c", "/my")
    compile(code, "question", "exec")


def test_an_answer_is_the_list_on_the_last_line() -> None:
    assert ENGINE.parse_answer('a warning\n\n["mme", "mmmu"]\n') == ["mme", "mmmu"]


@pytest.mark.parametrize("output", ["", "no list", '{"a": 1}', "1"])
def test_an_output_without_a_list_is_no_answer(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ENGINE.parse_answer(output)


def _as_read(built: Command, name: str) -> dict[str, object]:
    """The arguments as lmms-eval 0.7.3 reads them from the flag or from the configuration file."""
    config = yaml.safe_load(built.files.get(CONFIG_FILE, "{}"))
    found = flags(built, *PLAIN)
    assert ("config" in found) == bool(config)
    assert not (name in found and name in config)
    text = found.get(name, config.get(name, "")).strip()
    pairs = [argument.split("=", 1) for argument in _split(text) if argument]
    return {key: _value(value, exact=bool(config)) for key, value in pairs}


def _split(text: str) -> list[str]:
    """What lmms_eval.utils._smart_comma_split does with it, which needs nothing more than this:
    quotes and brackets, inside which it does not split, never get there."""
    assert not set(text) & set("'\"[]{}")
    return [part.strip() for part in text.split(",")]


def _value(text: str, *, exact: bool) -> object:
    """What lmms_eval.utils.handle_arg_string makes of it, with the launcher's decoder before it."""
    if exact and text.startswith(lmms_eval_exact.PREFIX):
        return lmms_eval_exact.decode(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isnumeric():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
