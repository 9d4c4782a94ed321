"""Tasks of a lab for Inspect."""

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, Target, accuracy, exact, scorer
from inspect_ai.solver import TaskState


@scorer(metrics=[accuracy()])
def failing() -> Any:
    """A scorer with an error."""

    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=state.metadata["nosuch"])

    return score


@task
def plain() -> Task:
    """A task that works."""
    return Task(dataset=[Sample(input="1+1?", target="2")], scorer=exact())


@task
def raising() -> Task:
    """A task whose scorer fails."""
    return Task(dataset=[Sample(input="1+1?", target="2")], scorer=failing())
