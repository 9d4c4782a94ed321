"""A server with authentication, shared by the tests of a module, which leave it unchanged."""

from collections.abc import Iterator

import pytest

from tests.security.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with authentication whose first job never ends, so that all others wait."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.open()
    lab.when(lab.submit(model_args={"behave": "hang"}), "running")
    yield lab
    lab.close()
