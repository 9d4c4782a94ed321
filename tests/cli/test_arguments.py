"""Model arguments: parsed as lmms-eval parses them, or as JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from evalserver.cli.arguments import parse_arguments
from tests.real_harness import interpreter, offline_environment

AS_LMMS_EVAL: dict[str, dict[str, Any]] = {
    "pretrained=Qwen/Qwen2-VL,device_map=auto": {
        "pretrained": "Qwen/Qwen2-VL",
        "device_map": "auto",
    },
    "a=true,b=False,c=TRUE": {"a": True, "b": False, "c": True},
    "a=1,b=2.5,c=1e-4,d=.5": {"a": 1, "b": 2.5, "c": 1e-4, "d": 0.5},
    "a=-1.5": {"a": -1.5},
    "a=x=y,b=": {"a": "x=y", "b": ""},
    "a=1,,b=2,": {"a": 1, "b": 2},
    " a=1 , b=2 ": {"a": 1, "b": 2},
    'a={"x":1,"y":[1,2]},b=3': {"a": '{"x":1,"y":[1,2]}', "b": 3},
    "a=[1,2],b='x,y'": {"a": "[1,2]", "b": "'x,y'"},
    "base_url=http://host:1/v1,api_key=x": {"base_url": "http://host:1/v1", "api_key": "x"},
    "": {},
}

OURS: dict[str, dict[str, Any]] = {
    # lmms-eval parses these as floats, infinity and 1000.
    "a=-1": {"a": -1},
    "a=nan,b=inf": {"a": "nan", "b": "inf"},
    "a=1_000": {"a": "1_000"},
    '{"a": "007", "b": null, "c": [1, "x,y"]}': {"a": "007", "b": None, "c": [1, "x,y"]},
}


@pytest.mark.parametrize("text", [*AS_LMMS_EVAL, *OURS])
def test_arguments_are_parsed_from_text(text: str) -> None:
    found = parse_arguments(text)

    expected = {**AS_LMMS_EVAL, **OURS}[text]
    assert found == expected
    assert [type(value) for value in found.values()] == [type(each) for each in expected.values()]


@pytest.mark.parametrize("text", ["x", "a=1,x", "=1", "{", '{"a": 1', "{}x", "{'a': 1}"])
def test_a_text_without_arguments_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"name=value|JSON"):
        parse_arguments(text)


@pytest.mark.real_harness("lmms-eval")
def test_lmms_eval_parses_them_identically(tmp_path: Path) -> None:
    program = (
        "import json, sys; from lmms_eval.utils import simple_parse_args_string as read;"
        "print(json.dumps({text: read(text) for text in json.load(sys.stdin)}))"
    )

    result = subprocess.run(
        [interpreter("lmms-eval"), "-c", program],
        input=json.dumps(list(AS_LMMS_EVAL)),
        env=offline_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(result.stdout.splitlines()[-1]) == AS_LMMS_EVAL
