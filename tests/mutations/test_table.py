"""The table of mutations matches the current code."""

import ast
from pathlib import Path

import pytest

from tests.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_original_text_of_a_mutation_occurs_once(mutation: Mutation) -> None:
    assert (ROOT / "evalserver" / mutation.file).read_text().count(mutation.original) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_tests_of_a_mutation_exist(mutation: Mutation) -> None:
    missing = [name for name in mutation.tests if not _exists(name)]

    assert not missing


def test_names_of_mutations_are_unique() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def _exists(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / "tests" / file
    if not function:
        return path.is_file()
    names = (getattr(node, "name", None) for node in ast.walk(ast.parse(path.read_text())))
    return function in names
