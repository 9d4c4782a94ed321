"""Tasks of Inspect AI for the end-to-end tests, read by Inspect in its own interpreter."""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes, match
from inspect_ai.solver import generate

CAPITALS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Peru": "Lima"}


@task
def capitals() -> Task:
    """Asks for the capitals of four countries."""
    return Task(dataset=_questions(), solver=[generate()], scorer=includes())


@task
def capitals_twice_judged() -> Task:
    """The same, under two scorers."""
    return Task(dataset=_questions(), solver=[generate()], scorer=[includes(), match()])


def _questions() -> list[Sample]:
    return [
        Sample(input=f"What is the capital of {country}?", target=city)
        for country, city in CAPITALS.items()
    ]
