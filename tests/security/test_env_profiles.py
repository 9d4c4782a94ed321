"""A set of variables that only administrators may name."""

from collections.abc import Iterator

import pytest

from evalserver.core.roles import Role
from tests.security.lab import Lab, lab_with
from tests.support import request

TABLES = '[env_profiles.paid]\nroles = ["admin"]\nAPI_TYPE = "azure"\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with such a profile."""
    with lab_with(TABLES, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize(("role", "status"), [(Role.SUBMITTER, 403), (Role.ADMIN, 200)])
def test_a_profile_can_require_a_role(lab: Lab, role: Role, status: int) -> None:
    body = request(env_profile="paid")

    response = lab.send("POST", "/evaluate?dry_run=1", role, json=body)

    assert response.status_code == status
    assert status == 200 or "requires the role admin" in response.json()["detail"]
