"""The program that ``evalserver doctor`` runs on a node."""

from pathlib import Path

from evalserver.executors.slurm import hello
from tests.runner.pythons import minimum_faults

WITHOUT_A_NEWER_ONE = (3, 6)
"""The Python of Red Hat Enterprise Linux 8."""


def test_it_reports_the_version_of_a_python_that_is_too_old_for_the_runner() -> None:
    assert minimum_faults(Path(hello.__file__), oldest=WITHOUT_A_NEWER_ONE) == ""
