"""What every executor must do, on the server's own machine."""

import pytest

from tests.executors.conftest import Lab
from tests.executors.contract import ExecutorContract, Place


class TestOnThisMachine(ExecutorContract):
    """Attempts of the local executor."""

    @pytest.fixture
    def place(self, lab: Lab) -> Place:
        """Attempts below the test's own directory."""
        return lab
