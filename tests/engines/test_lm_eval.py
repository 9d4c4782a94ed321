"""lm-eval's command line: it contains every field, and values never become flags."""

import pytest
import yaml
from hypothesis import example, given

from evalserver.engines import Question
from evalserver.engines.harness import CONFIG_FILE
from evalserver.engines.lm_eval import LmEval
from tests.engines.commands import ARGUMENTS, PATHS, TEXTS, command, exact_text, flags, settings

ENGINE = LmEval(settings())
PROGRAM = ("python", *LmEval.program)
LAUNCH = (
    "-m", "accelerate.commands.launch", "--multi_gpu",
    "--num_processes", "2", "--num_machines", "1", "--main_process_port", "0",
)  # fmt: skip

FIELDS = {
    "model": ({"model": "hf"}, {"model": "hf"}),
    "tasks": ({"tasks": ("gsm8k", "arc_*")}, {"tasks": "gsm8k,arc_*"}),
    "num_fewshot": ({"num_fewshot": 5}, {"num_fewshot": "5"}),
    "batch_size": ({"batch_size": "auto"}, {"batch_size": "auto"}),
    "device": ({"device": "cpu"}, {"device": "cpu"}),
    "limit": ({"limit": 5}, {"limit": "5"}),
    "limit fraction": ({"limit": 0.25}, {"limit": "0.25"}),
    "limit all": ({"limit": -1}, {}),
    "seed": ({"seed": 7}, {"seed": "7"}),
    "gen_kwargs text": ({"gen_kwargs": "temperature=0"}, {"gen_kwargs": "temperature=0"}),
    "use_cache": ({"use_cache": True}, {"use_cache": f"{PATHS.cache_dir}/responses"}),
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
    assert flags(command(ENGINE, **fields), *PROGRAM) == {**ALWAYS, **expected}


def test_samples_are_not_logged_if_they_are_not_requested() -> None:
    assert "log_samples" not in flags(command(ENGINE, log_samples=False), *PROGRAM)


def test_several_gpus_are_launched_with_accelerate() -> None:
    launched = command(ENGINE, num_gpus=2)

    assert flags(launched, "python", *LAUNCH, *LmEval.program) == ALWAYS


def test_the_directory_of_the_response_cache_is_created_beforehand() -> None:
    assert command(ENGINE, use_cache=True).directories == (PATHS.output_dir, PATHS.cache_dir)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("field", ["model", "device", "gen_kwargs"])
def test_a_text_stays_one_value_and_never_becomes_a_flag(field: str, text: str) -> None:
    assert flags(command(ENGINE, **{field: text}), *PROGRAM) == {**ALWAYS, field: text}


@given(model_args=ARGUMENTS, gen_kwargs=ARGUMENTS)
@example(model_args={"a": "x,trust_remote_code=True"}, gen_kwargs={"until": ["\n"], "n": -1})
@example(model_args={"a": "no", "b": "1e3", "c": "line\nbreak", "d": "\x85"}, gen_kwargs={})
def test_the_harness_receives_arguments_unchanged(
    model_args: dict[str, object], gen_kwargs: dict[str, object]
) -> None:
    built = command(ENGINE, model_args=model_args, gen_kwargs=gen_kwargs)

    config = yaml.safe_load(built.files.get(CONFIG_FILE, "{}"))
    sent = {"model_args": model_args, "gen_kwargs": gen_kwargs}
    assert exact_text(config) == exact_text({name: value for name, value in sent.items() if value})


def test_the_configuration_file_is_passed() -> None:
    built = command(ENGINE, model_args={"pretrained": "gpt2"})

    assert flags(built, *PROGRAM) == {**ALWAYS, "config": str(PATHS.run_dir / CONFIG_FILE)}


def test_arguments_are_never_on_the_command_line() -> None:
    built = command(ENGINE, model_args={"api_key": "sk-123"}, gen_kwargs={"x": "sk-123"})

    assert "sk-123" not in " ".join(built.argv)


@pytest.mark.parametrize("question", Question)
def test_a_question_runs_in_the_harnesss_interpreter(question: Question) -> None:
    python, dash_c, code, include_path = LmEval(settings("/env/python")).question_argv(question)

    assert (python, dash_c, include_path) == ("/env/python", "-c", "")
    compile(code, "question", "exec")
