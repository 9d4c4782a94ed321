"""Tasks of Inspect AI whose scores are odd."""

from collections.abc import Callable
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Target, accuracy, metric, scorer
from inspect_ai.solver import Generate, TaskState, generate, solver

QUESTIONS = [Sample(input="What is the capital of Peru?", target="Lima")]


@metric
def diverged() -> Callable[[list[Any]], float]:
    """A metric that is no number."""
    return lambda scores: float("nan")


@scorer(metrics=[accuracy(), diverged()])
def half_diverged() -> Any:
    """Scores every answer with 1."""

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=1)

    return score


@solver
def broken() -> Any:
    """A solver that fails."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        raise RuntimeError("the solver is broken")

    return solve


@task
def partly_nan() -> Task:
    """Has two metrics, of which one is NaN."""
    return Task(dataset=QUESTIONS, solver=[generate()], scorer=half_diverged())


@task
def unscored() -> Task:
    """Has no scorer."""
    return Task(dataset=QUESTIONS, solver=[generate()])


@task
def failing() -> Task:
    """Ends with an error."""
    return Task(dataset=QUESTIONS, solver=[broken()], scorer=half_diverged())
