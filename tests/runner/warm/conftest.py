"""Fixtures of the tests of warm parents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.warm.driver import WarmParent
from tests.runner.warm.harness import TinyHarness


@pytest.fixture
def tiny(tmp_path: Path) -> TinyHarness:
    """A small harness that nothing was started of."""
    return TinyHarness(tmp_path)


@pytest.fixture(scope="module")
def shared_tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyHarness:
    """A small harness that the tests of a module share, and do not change."""
    return TinyHarness(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def shared_parent(shared_tiny: TinyHarness) -> Iterator[WarmParent]:
    """A warm parent of the shared harness, which is ready."""
    with shared_tiny.parent() as parent:
        assert parent.ready()["ready"]
        yield parent
