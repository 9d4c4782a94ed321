"""lmms-eval's ``--config`` files: which keys are sent, left out or rejected."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evalserver.cli.run_file import OUTPUT_KEYS, UNSUPPORTED_KEYS, InvalidRunFile, read_run_file
from evalserver.core.request import REQUEST_FIELDS
from evalserver.engines.lmms_eval_options import OPTIONS
from tests.cli.commands import evalserver
from tests.real_harness import interpreter, offline_environment

ONE = """
model: qwen2_5_vl
model_args: "pretrained=Qwen/Qwen2.5-VL-3B-Instruct,device_map=auto"
tasks: "mme,mmmu_val"
batch_size: 1
num_fewshot: 0
gen_kwargs: "temperature=0,max_new_tokens=1024"
limit: 8
log_samples: true
output_path: "results/"
"""


def read(text: str, **options: Any) -> dict[str, Any]:
    """Return the fields of the only request in a file."""
    [request] = read_run_file(text, "run.yaml", **options).requests
    return request


def test_a_file_becomes_a_request() -> None:
    assert read(ONE) == {
        "model": "qwen2_5_vl",
        "model_args": {"pretrained": "Qwen/Qwen2.5-VL-3B-Instruct", "device_map": "auto"},
        "tasks": ["mme", "mmmu_val"],
        "batch_size": 1,
        "num_fewshot": 0,
        "gen_kwargs": "temperature=0,max_new_tokens=1024",
        "limit": 8,
        "log_samples": True,
    }


def test_output_settings_of_lmms_eval_are_left_out_and_reported() -> None:
    assert read_run_file(ONE, "run.yaml").ignored == ("output_path",)


def test_a_list_becomes_several_requests() -> None:
    found = read_run_file("- {model: a, tasks: x}\n- {model: b, tasks: y}", "run.yaml")

    assert (found.is_list, [each["model"] for each in found.requests]) == (True, ["a", "b"])


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("limit: 8.0", {"limit": 8}),
        ("limit: 0.5", {"limit": 0.5}),
        ("limit: -1", {"limit": -1}),
        ("batch_size: '16'", {"batch_size": 16}),
        ("batch_size: auto", {"batch_size": "auto"}),
        ("tasks: [mme, ai2d]", {"tasks": ["mme", "ai2d"]}),
        ("model_args: {a: '007'}", {"model_args": {"a": "007"}}),
        ("seed: 7", {"seed": 7}),
        ("seed: '7,7,7,7'", {"seed": 7}),
        ("seed: '0,1234,1234,1234'", {}),
        ("seed: '0,1,None,3'", {"seed": [0, 1, None, 3]}),
        ("apply_chat_template: true", {"harness_args": {"apply_chat_template": True}}),
        ("{repeats: 3, harness_args: {offset: 5}}", {"harness_args": {"offset": 5, "repeats": 3}}),
        ("wandb_args: 'project=a,x=1'", {"harness_args": {"wandb_args": {"project": "a", "x": 1}}}),
        (
            'reasoning_tags: \'[["<a>", "</a>"]]\'',
            {"harness_args": {"reasoning_tags": [["<a>", "</a>"]]}},
        ),
        ("reasoning_tags: none", {"harness_args": {"reasoning_tags": "none"}}),
        ("cache_requests: 'true'", {"harness_args": {"cache_requests": "true"}}),
        ("use_cache: false", {"use_cache": False}),
        ("use_cache: /some/path", {}),
        ("apply_chat_template: false", {}),
        ("wandb_args: ''", {}),
        ("device: null", {}),
        ("labels: {run: 7b}", {"labels": {"run": "7b"}}),
        ("timeout_s: 60", {"timeout_s": 60}),
    ],
)
def test_a_value_is_sent_with_its_type(line: str, sent: dict[str, Any]) -> None:
    assert read(line) == sent


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("env: {A: b}", "env: the server does not support this"),
        ("modle: x", "has a key 'modle'. Did you mean 'model'?"),
        ("seed: 'x,1,2,3'", "not a number, nor numbers or null"),
        ("reasoning_tags: '[['", "run.yaml: "),
        ("model_args: x", "'x' is not name=value"),
        ("[]", "run.yaml is empty"),
        ("", "must be a mapping of names to values"),
        ("just a text", "must be a mapping of names to values"),
        ("- {model: a}\n- 5", "run.yaml, entry 2: must be a mapping of names to values"),
        ("1: 2", "must be a mapping of names to values"),
        ("a: [", "is not YAML"),
        ("\x00", "is not YAML"),
        ("!!python/object:os.system {}", "is not YAML"),
    ],
)
def test_an_unusable_file_is_rejected_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(InvalidRunFile) as error:
        read_run_file(text, "run.yaml")

    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_lenient_leaves_out_keys_without_a_field() -> None:
    found = read_run_file("{model: a, env: {A: b}, alpha: 0.1}", "run.yaml", lenient=True)

    assert (found.requests, found.ignored) == (({"model": "a"},), ("alpha", "env"))


def test_options_override_a_file_argument_by_argument(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(ONE)

    result = evalserver(
        "submit", "--config", config, "-a", "device_map=cpu", "--limit=3", "--print-request"
    )

    sent = json.loads(result.stdout)
    assert sent["model_args"]["device_map"] == "cpu"
    assert sent["model_args"]["pretrained"] == "Qwen/Qwen2.5-VL-3B-Instruct"
    assert sent["limit"] == 3


@pytest.mark.parametrize("value", [".nan", "2020-01-01"])
def test_values_that_json_cannot_represent_are_rejected_before_sending(
    tmp_path: Path, value: str
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"{{model: a, tasks: x, model_args: {{b: {value}}}}}")

    result = evalserver("submit", "--config", config, "--print-request")

    assert result.exit_code == 2
    assert "cannot be sent as JSON" in result.stderr


@pytest.mark.real_harness("lmms-eval")
def test_every_key_of_lmms_eval_is_known(tmp_path: Path) -> None:
    program = (
        "import json, sys; sys.argv = ['x']; from lmms_eval.__main__ import parse_eval_args;"
        "print(json.dumps([each.dest for each in parse_eval_args()[0]._actions]))"
    )

    result = subprocess.run(
        [interpreter("lmms-eval"), "-c", program],
        env=offline_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    keys = set(json.loads(result.stdout.splitlines()[-1])) - {"help"}
    assert keys - {*REQUEST_FIELDS, *OPTIONS, *OUTPUT_KEYS, *UNSUPPORTED_KEYS} == set()
