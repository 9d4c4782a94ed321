"""Whether an attempt can be started warm (docs/warm-starts.md), as far as the job decides that."""

from evalserver.core.job import LOCAL, Job, NewJob
from evalserver.engines import Engine
from evalserver.engines.settings import WARM_AUTO, WARM_OFF
from evalserver.executors import ColdStart, WarmPlan

OFF = ColdStart("off", "warm starts are off for this engine")
CLUSTER = ColdStart("executor", "only attempts on the server's own machine are started warm")
FURTHER = ColdStart("further_attempt", "a further attempt of a job is always started cold")
MERGE = ColdStart("stages", "another stage runs before the harness")
PROCESSES = ColdStart("processes", "the harness runs in several processes")


def plan_start(
    engine: Engine, job: Job | NewJob, mode: str, *, has_stages: bool
) -> WarmPlan | ColdStart:
    """Return how an attempt of the job can be started warm, or why not.

    ``mode`` is the server's setting; ``has_stages`` says that the harness is not the only stage.
    """
    if isinstance(plan := engine_plan(engine, mode), ColdStart):
        return plan
    if job.executor != LOCAL:
        return CLUSTER
    if isinstance(job, Job) and job.attempt > 1:
        return FURTHER
    if has_stages:
        return MERGE
    if not engine.starts_one_process(job.request):
        return PROCESSES
    return plan


def engine_plan(engine: Engine, mode: str) -> WarmPlan | ColdStart:
    """Return how attempts of an engine can be started warm, or why not."""
    mode = warm_mode(engine, mode)
    if engine.warm is None:
        why = f"engines of type {engine.settings.type} are always started cold"
        return ColdStart("engine", why)
    if mode == WARM_OFF:
        return OFF
    return WarmPlan(
        engine.name,
        engine.warm.preload,
        engine.settings.include_path,
        engine.warm.tried if mode == WARM_AUTO else None,
        engine.package,
    )


def warm_mode(engine: Engine, mode: str) -> str:
    """Return whether attempts of an engine are started warm; ``mode`` is the server's setting."""
    return mode if engine.settings.warm is None else engine.settings.warm
