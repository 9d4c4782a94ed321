"""Shared by the tests of the engines' command lines: building and parsing them."""

import argparse
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from evalserver.core.request import EvaluateRequest
from evalserver.engines import Command, Engine, EngineSettings, Paths

PATHS = Paths(Path("/data/run"), Path("/data/run/output"), Path("/data/cache"))

TEXTS = (
    "plain", "a b", " a", "a ", "-x", "--tasks=evil", "-", "@file", "", "=", "a=b", "a,b=c", ",",
    "line\nbreak", "tab\there", "'single'", '"double"', "[1, 2]", '{"a": 1}', "}", "\\", "%2C",
    "#x", "007", "1e3", "-1", "1_000", "nan", "inf", "½", "²", "true", "False", "None", "null", "~",
    "yes", "evalserver-json:1", "évalué", "日本語", "😀", "\x85", "\u2028", "\x7f",
)  # fmt: skip
"""Texts that a parser of flags, arguments, YAML or numbers could misinterpret."""

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(TEXTS)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), below, max_size=3)
    ),
    max_leaves=5,
)
"""Any value that a client can send in JSON."""

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,10}", fullmatch=True)

ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
"""Any value that a client can send as ``model_args`` or ``gen_kwargs``."""


def settings(python: str = "python", include_path: str | None = None) -> EngineSettings:
    """Return engine settings with this interpreter and these task definitions."""
    return EngineSettings("engine", "engine", python, include_path)


def command(engine: Engine, **fields: Any) -> Command:
    """Return the engine's command for a request with these fields."""
    request = EvaluateRequest(**{"model": "dummy", "tasks": ("mme",), **fields})
    return engine.command(request, PATHS)


def flags(command: Command, *program: str) -> dict[str, Any]:
    """Return the flags after the program, as the harness's argument parser reads them.

    A flag without a value is True, and an absent flag is missing. Fails on anything else.
    """
    start = len(program)
    assert command.argv[:start] == program
    parser = argparse.ArgumentParser(allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for name in (
        "model", "model_args", "tasks", "num_fewshot", "batch_size", "device", "limit", "seed",
        "config", "gen_kwargs", "include_path", "output_path", "use_cache",
    ):  # fmt: skip
        parser.add_argument(f"--{name}")
    for name in ("log_samples", "predict_only"):
        parser.add_argument(f"--{name}", action="store_true")
    return vars(parser.parse_args(command.argv[start:]))


def exact_text(value: object) -> str:
    """Return a text that distinguishes 1, 1.0 and true, and the order of keys."""
    return json.dumps(value)
