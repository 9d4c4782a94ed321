"""The table of faults fits the code as it is: a row that does not would test nothing."""

import ast
from pathlib import Path

import pytest

from tests.mutations.table import FAULTS, Fault

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_text_of_a_fault_is_there_once(fault: Fault) -> None:
    assert (ROOT / "evalserver" / fault.file).read_text().count(fault.text) == 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_tests_of_a_fault_are_there(fault: Fault) -> None:
    missing = [name for name in fault.tests if not _is_there(name)]

    assert not missing


def test_no_two_faults_have_the_same_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def _is_there(name: str) -> bool:
    file, _, function = name.partition("::")
    path = ROOT / "tests" / file
    if not function:
        return path.is_file()
    names = (getattr(node, "name", None) for node in ast.walk(ast.parse(path.read_text())))
    return function in names
