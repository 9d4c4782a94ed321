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


@task
def one_capital(country: str = "France", hint: str = "") -> Task:
    """Asks for the capital of one country."""
    questions = [each for each in _questions() if country in str(each.input)]
    for question in questions:
        question.input = f"{question.input}{hint}"
    return Task(dataset=questions, solver=[generate()], scorer=includes())


def _questions() -> list[Sample]:
    return [
        Sample(input=f"What is the capital of {country}?", target=city)
        for country, city in CAPITALS.items()
    ]
