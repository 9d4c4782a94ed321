"""The task of ``scripts/compatibility`` for Inspect AI, read in Inspect's own interpreter."""

import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

CAPITALS = json.loads(Path(__file__).with_name("capitals.json").read_text(encoding="utf-8"))


@task
def compatibility() -> Task:
    """Asks for the capitals that the endpoint knows."""
    samples = [
        Sample(input=f"What is the capital of {country}?", target=city)
        for country, city in CAPITALS.items()
    ]
    return Task(dataset=samples, solver=[generate()], scorer=includes())
