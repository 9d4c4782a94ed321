"""Which attempts can be started warm, as far as engine and job decide that."""

from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.attempts.start_plan import plan_start
from evalserver.core.job import Job, NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.engines import make_engine
from evalserver.executors import ColdStart, WarmPlan

REQUEST = EvaluateRequest("m", ("t",))


def plan(
    table: dict[str, object] | None = None,
    job: Job | NewJob | None = None,
    mode: str = "auto",
    *,
    has_stages: bool = False,
) -> str:
    """Return ``warm``, or the code of the reason against it."""
    engine = make_engine("lm_eval", table or {}, "python3", None)
    found = plan_start(
        engine, job or NewJob("a", "lm_eval", REQUEST, "b"), mode, has_stages=has_stages
    )
    return found.code if isinstance(found, ColdStart) else "warm"


@pytest.mark.parametrize(
    ("mode", "of_engine", "found"),
    [("auto", None, "warm"), ("off", None, "off"), ("auto", "off", "off"), ("off", "auto", "warm")],
)
def test_the_engines_table_goes_before_the_servers_setting(
    mode: str, of_engine: str | None, found: str
) -> None:
    assert plan({} if of_engine is None else {"warm": of_engine}, mode=mode) == found


def test_auto_is_for_tried_versions_and_preload_for_all() -> None:
    engine = make_engine("lm_eval", {}, "python3", "tests")
    job = NewJob("a", "lm_eval", REQUEST, "b")

    plans = [plan_start(engine, job, mode, has_stages=False) for mode in ("auto", "preload")]

    assert [each.versions for each in plans if isinstance(each, WarmPlan)] == [
        frozenset({"0.4.13"}),
        None,
    ]


def test_a_job_on_a_cluster_is_started_cold() -> None:
    assert plan(job=NewJob("a", "lm_eval", REQUEST, "b", executor="cluster")) == "executor"


def test_a_job_in_several_processes_is_started_cold() -> None:
    request = replace(REQUEST, num_gpus=2)

    assert plan(job=NewJob("a", "lm_eval", request, "b")) == "processes"


def test_a_job_with_an_earlier_stage_is_started_cold() -> None:
    assert plan(has_stages=True) == "stages"


def test_an_engine_without_a_program_for_it_is_started_cold() -> None:
    engine = make_engine("merge", {}, "python3", None)

    found = plan_start(engine, NewJob("a", "merge", REQUEST, "b"), "preload", has_stages=False)

    assert found == ColdStart("engine", "engines of type merge are always started cold")


@pytest.mark.parametrize("name", ["lm_eval", "lmms_eval", "inspect"])
def test_the_program_of_every_harness_is_there(name: str) -> None:
    engine = make_engine(name, {}, "python3", None)

    assert engine.warm is not None
    assert Path(engine.warm.preload).is_file()
    assert engine.written_for in engine.warm.tried
