"""What every executor must do, on a real Slurm."""

import pytest

from tests.executors.contract import ExecutorContract, Place
from tests.executors.slurm.attempts import AttemptLab


@pytest.mark.slurm
class TestOnSlurm(ExecutorContract):
    """Attempts of the executor for Slurm."""

    @pytest.fixture
    def place(self, attempts: AttemptLab) -> Place:
        """Attempts on a cluster that others use as well."""
        return attempts
