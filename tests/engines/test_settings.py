"""Engine tables: what is allowed, and the messages for what is not."""

from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import make_engines


def rejection(name: str, table: Any) -> str:
    """Return the error message for a table."""
    with pytest.raises(ValueError, match=r".") as raised:
        make_engines("python3", None, {name: table})
    return str(raised.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"type": "lmms_evil"}, "Did you mean 'lmms_eval'"),
        ({"type": 1}, "engines.a.type must be a non-empty text, got 1"),
        (
            {"type": "lm_eval", "python": "/no/such"},
            "engines.a.python: /no/such is not an executable",
        ),
        ({"type": "lm_eval", "include_path": "/no/such"}, "is not a directory"),
        ({"type": "lm_eval", "environment": {"A": 1}}, "a table of variables"),
        ({"type": "lm_eval", "environment": {"A=B": "1"}}, "a table of variables"),
        ({"type": "lm_eval", "defaults": {"tasks": ["a"]}}, "a table of fields of a request"),
        ({"type": "lm_eval", "models": []}, "a list of names or wildcards"),
        ({"type": "lm_eval", "working_directory": "x"}, "must be 'server' or 'attempt'"),
        ({"type": "lm_eval", "executor": 1}, "engines.a.executor must be a non-empty text, got 1"),
        ({"type": "lm_eval", "warm": "on"}, "warm must be 'off' or 'auto' or 'preload', got 'on'"),
        ({"type": "lm_eval", "pyton": "x"}, "unknown key 'pyton'. Did you mean 'python'"),
    ],
)
def test_an_invalid_table_is_rejected_with_a_readable_message(table: Any, message: str) -> None:
    assert message in rejection("a", table)


@pytest.mark.parametrize("name", ["", "a b", "-x", "1", "a/b"])
def test_an_invalid_name_is_rejected(name: str) -> None:
    assert "is not a valid name" in rejection(name, {"type": "lm_eval"})


def test_two_engines_of_one_type_have_separate_interpreters(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.symlink_to("/bin/sh")

    engines = make_engines("python3", None, {"new": {"type": "lm_eval", "python": str(other)}})

    assert engines["new"].python == str(other)
    assert engines["lm_eval"].python != str(other)


def test_a_table_can_configure_a_built_in_engine() -> None:
    engines = make_engines("python3", None, {"lm_eval": {"models": ["hf"]}})

    assert engines["lm_eval"].settings.models == ("hf",)


@pytest.mark.parametrize(("model", "allowed"), [("hf", True), ("vllm-2", True), ("local", False)])
def test_models_are_allowed_by_name_or_wildcard(model: str, allowed: bool) -> None:
    table = {"lm_eval": {"models": ["hf", "vllm*"]}}

    assert make_engines("python3", None, table)["lm_eval"].settings.allows(model) is allowed


@pytest.mark.parametrize(("name", "kind"), [("merge", "lm_eval"), ("other", "merge")])
def test_only_the_engine_named_merge_can_merge(name: str, kind: str) -> None:
    assert "the engine 'merge', and no other" in rejection(name, {"type": kind})
