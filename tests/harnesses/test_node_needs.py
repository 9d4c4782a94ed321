"""What nodes of a cluster must have for the engines whose jobs run there."""

import sys
from pathlib import Path
from typing import Any

from evalserver.engines import Engine, make_engine
from evalserver.harnesses.node_needs import LAUNCHERS, node_needs

HERE = Path("/where/the/server/starts")


def engine(name: str, include_path: str | None = None, **table: Any) -> Engine:
    """An engine of this type, or with its table."""
    return make_engine(name, table, sys.executable, include_path)


def graves(*engines: Engine, default: str = "local") -> dict[str, bool]:
    """The paths that nodes of the executor gpu must have, and whether each is grave."""
    needs = node_needs(engines, "gpu", default, HERE)
    return {need.path: need.grave for need in needs if need.path != str(HERE)}


def test_the_interpreter_and_our_launchers_are_needed_for_an_engine_that_runs_there() -> None:
    assert graves(engine("lm_eval", executor="gpu")) == {sys.executable: True, str(LAUNCHERS): True}


def test_an_engine_without_an_executor_runs_on_the_default_one() -> None:
    assert all(graves(engine("lm_eval"), default="gpu").values())


def test_what_only_a_request_would_bring_there_is_not_grave() -> None:
    needs = graves(engine("lm_eval"))

    assert needs
    assert not any(needs.values())


def test_an_engine_that_runs_elsewhere_needs_nothing() -> None:
    assert graves(engine("lm_eval", executor="local"), default="gpu") == {}


def test_a_program_of_its_own_needs_no_files_of_ours() -> None:
    own = engine("own", type="command", argv=["/bin/true"], executor="gpu")

    assert graves(own) == {"/bin/true": True}


def test_engines_with_the_same_interpreter_are_named_together() -> None:
    needs = node_needs([engine("lm_eval"), engine("inspect")], "gpu", "gpu", HERE)

    assert needs[0].what == "the program of lm_eval, inspect"


def test_task_definitions_are_needed(tmp_path: Path) -> None:
    tasks = engine("lm_eval", include_path=str(tmp_path), executor="gpu")

    assert graves(tasks)[str(tmp_path)]


def test_the_working_directory_is_needed_unless_each_attempt_has_its_own() -> None:
    shared, own = engine("lm_eval"), engine("lm_eval", working_directory="attempt")

    def paths(engine: Engine) -> list[str]:
        return [need.path for need in node_needs([engine], "gpu", "gpu", HERE)]

    assert str(HERE) in paths(shared)
    assert str(HERE) not in paths(own)
