"""lmms-eval's command line: it contains every field, and values never become flags."""

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
    exact_text,
    flags,
    settings,
)

ENGINE = LmmsEval(settings())
MAX_ARGUMENT_BYTES = 128 * 1024
"""The maximum size of one argument of a program on Linux."""
LAUNCHER = str(Path(in_harness.__file__).with_name("lmms_eval_launcher.py"))
PLAIN = ("python", LAUNCHER)
LAUNCH = (
    "-m", "accelerate.commands.launch", "--multi_gpu",
    "--num_processes", "4", "--num_machines", "1", "--main_process_port", "0",
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


def test_samples_are_not_logged_if_they_are_not_requested() -> None:
    assert "log_samples" not in flags(command(ENGINE, log_samples=False), *PLAIN)


def test_additional_tasks_are_included() -> None:
    engine = LmmsEval(settings(include_path="/my/tasks"))

    assert flags(command(engine), *PLAIN)["include_path"] == "/my/tasks"


def test_several_gpus_are_launched_with_accelerate() -> None:
    launched = command(ENGINE, num_gpus=4, device="cuda")

    found = flags(launched, "python", *LAUNCH, LAUNCHER)
    assert found == {**ALWAYS, "device": "cuda"}


def test_several_gpus_can_be_combined_with_exact_arguments() -> None:
    launched = command(ENGINE, num_gpus=4, model_args={"a": [1]})

    assert "config" in flags(launched, "python", *LAUNCH, LAUNCHER)


def test_the_output_directory_is_created_beforehand() -> None:
    assert command(ENGINE).directories == (PATHS.output_dir,)


def test_the_directory_of_the_response_cache_is_created_beforehand() -> None:
    assert command(ENGINE, use_cache=True).directories == (PATHS.output_dir, PATHS.cache_dir)


def test_arguments_that_fit_into_flags_need_no_configuration_file() -> None:
    given = {"pretrained": "org/model-7b", "dtype": "bfloat16", "n": 2, "x": 0.5, "on": True}

    plain = command(ENGINE, model_args=given)

    assert plain.files == {}
    assert "config" not in flags(plain, *PLAIN)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", ["model", "device"])
def test_a_text_stays_one_value_and_never_becomes_a_flag(field: str, text: str) -> None:
    assert flags(command(ENGINE, **{field: text}), *PLAIN) == {**ALWAYS, field: text}


@given(model_args=ARGUMENTS, gen_kwargs=ARGUMENTS)
@example(model_args={"a": "x,trust_remote_code=True"}, gen_kwargs={})
@example(model_args={"a": "line\nbreak", "b": ["--tasks=evil"]}, gen_kwargs={"c": -1})
@example(model_args={"a": "evalserver-json:1", "b": None}, gen_kwargs={})
def test_the_harness_receives_arguments_unchanged(
    model_args: dict[str, object], gen_kwargs: dict[str, object]
) -> None:
    built = command(ENGINE, model_args=model_args, gen_kwargs=gen_kwargs)

    assert exact_text(_parsed_arguments(built, "model_args")) == exact_text(model_args)
    assert exact_text(_parsed_arguments(built, "gen_kwargs")) == exact_text(gen_kwargs)


@pytest.mark.parametrize("text", ["a ", " a", " a ", "a\t"])
@pytest.mark.parametrize("name", ["model_args", "gen_kwargs"])
def test_leading_and_trailing_white_space_is_preserved(name: str, text: str) -> None:
    built = command(ENGINE, **{name: {"first": text, "last": text}})

    assert _parsed_arguments(built, name) == {"first": text, "last": text}


@pytest.mark.parametrize("name", ["model_args", "gen_kwargs"])
def test_no_argument_is_longer_than_linux_allows(name: str) -> None:
    given = {f"a{number}": "x" * 1000 for number in range(200)}

    built = command(ENGINE, **{name: given})

    assert max(map(len, built.argv)) < MAX_ARGUMENT_BYTES
    assert _parsed_arguments(built, name) == given


@given(st.sampled_from(["api_key", "API_KEY", "hf_token", "client_secret", "password"]))
def test_a_secret_is_never_on_the_command_line(name: str) -> None:
    built = command(ENGINE, model_args={"model": "gpt", name: "sk-123"})

    assert "sk-123" not in " ".join(built.argv)
    assert _parsed_arguments(built, "model_args") == {"model": "gpt", name: "sk-123"}


def test_a_password_in_a_url_is_never_on_the_command_line() -> None:
    address = "http://someone:opensesame@model.lab/v1"

    built = command(ENGINE, model_args={"base_url": address})

    assert "opensesame" not in " ".join(built.argv)
    assert _parsed_arguments(built, "model_args") == {"base_url": address}


def test_a_nested_secret_is_never_on_the_command_line() -> None:
    built = command(ENGINE, model_args={"headers": {"Authorization": "sk-123"}})

    assert "sk-123" not in " ".join(built.argv)


@given(VALUES)
def test_an_encoded_value_decodes_to_the_original(value: object) -> None:
    assert exact_text(lmms_eval_exact.decode(lmms_eval_exact.encode(value))) == exact_text(value)


@given(VALUES)
def test_an_encoded_value_has_no_separators_of_lmms_eval(value: object) -> None:
    encoded = lmms_eval_exact.encode(value)

    assert encoded.isascii()
    assert encoded.isprintable()
    assert not set(encoded) & set(" ,'\"[]{}=\\")


@pytest.mark.parametrize("question", Question)
def test_a_question_runs_in_the_harnesss_interpreter(question: Question) -> None:
    python, dash_c, code, include_path = LmmsEval(settings("/env/python", "/my")).question_argv(
        question
    )

    assert (python, dash_c, include_path) == ("/env/python", "-c", "/my")
    compile(code, "question", "exec")


def test_an_answer_is_the_list_on_the_last_line() -> None:
    assert ENGINE.parse_answer('a warning\n\n["mme", "mmmu"]\n') == ["mme", "mmmu"]


@pytest.mark.parametrize("output", ["", "no list", '{"a": 1}', "1"])
def test_an_output_without_a_list_has_no_answer(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ENGINE.parse_answer(output)


def _parsed_arguments(built: Command, name: str) -> dict[str, object]:
    """Return the arguments as lmms-eval 0.7.3 reads them from the flag or the configuration
    file."""
    config = yaml.safe_load(built.files.get(CONFIG_FILE, "{}"))
    found = flags(built, *PLAIN)
    assert ("config" in found) == bool(config)
    assert not (name in found and name in config)
    text = found.get(name, config.get(name, "")).strip()
    pairs = [argument.split("=", 1) for argument in _split(text) if argument]
    return {key: _value(value, exact=bool(config)) for key, value in pairs}


def _split(text: str) -> list[str]:
    """Split the text as lmms_eval.utils._smart_comma_split does. That function does not split
    inside quotes and brackets, but no text here contains any."""
    assert not set(text) & set("'\"[]{}")
    return [part.strip() for part in text.split(",")]


def _value(text: str, *, exact: bool) -> object:
    """Parse the text as lmms_eval.utils.handle_arg_string does after the launcher's decoder."""
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
