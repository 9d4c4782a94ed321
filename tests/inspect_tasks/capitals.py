"""Tasks of Inspect AI for the end-to-end tests, read by Inspect in its own interpreter."""

from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import (
    Score,
    Scorer,
    Target,
    accuracy,
    at_least,
    includes,
    match,
    mean,
    scorer,
    stderr,
)
from inspect_ai.solver import Generate, Solver, TaskState, generate, solver

CAPITALS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Peru": "Lima"}
CONTINENTS = {"France": "Europe", "Italy": "Europe", "Japan": "Asia", "Peru": "America"}


@task
def capitals() -> Task:
    """Asks for the capitals of four countries."""
    return Task(dataset=_questions(), solver=[generate()], scorer=includes())


@task
def capitals_twice_judged() -> Task:
    """The same, under two scorers."""
    return Task(dataset=_questions(), solver=[generate()], scorer=[includes(), match()])


@task
def one_capital(country: str = "France", hint: str = "") -> Task:
    """Asks for the capital of one country."""
    questions = [each for each in _questions() if country in str(each.input)]
    for question in questions:
        question.input = f"{question.input}{hint}"
    return Task(dataset=questions, solver=[generate()], scorer=includes())


@task
def fragile_capitals() -> Task:
    """The same with a tool that breaks for all countries but France, which the task allows."""
    solver = [fragile(), generate()]
    return Task(dataset=_questions(), solver=solver, scorer=includes(), fail_on_error=False)


@task
def graded_capitals() -> Task:
    """The same in two epochs, with two reducers, under a scorer that gives two values."""
    epochs = Epochs(2, ["mean", at_least(1)])
    return Task(dataset=_questions(), solver=[generate()], scorer=graded(), epochs=epochs)


@task
def capitals_by_continent() -> Task:
    """The same, with error bars that know which countries belong together."""
    questions = _questions()
    for question, continent in zip(questions, CONTINENTS.values(), strict=True):
        question.metadata = {"continent": continent}
    return Task(dataset=questions, solver=[generate()], scorer=[by_continent(), includes()])


@scorer(metrics=[accuracy(), stderr(cluster="continent")])
def by_continent() -> Scorer:
    """Whether the answer has the capital."""
    return includes()


@solver
def fragile() -> Solver:
    """A tool that breaks for all countries but France."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if "France" not in state.input_text:
            raise RuntimeError("the map has no such country")
        return state

    return solve


@scorer(metrics={"right": [accuracy(), stderr()], "length": [mean()]})
def graded() -> Scorer:
    """Whether an answer is right, and how long it is."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        right = "C" if target.text in answer else "I"
        return Score(value={"right": right, "length": len(answer)}, answer=answer)

    return score


def _questions() -> list[Sample]:
    return [
        Sample(input=f"What is the capital of {country}?", target=city)
        for country, city in CAPITALS.items()
    ]
