"""An executor that only some roles may use."""

from collections.abc import Iterator

import pytest

from evalserver.core.roles import Role
from tests.conftest import MakeApi
from tests.security.lab import Lab, lab_with
from tests.support import request

ONLY_ADMINS = {"local": {"roles": ["admin"]}}
TABLES = '[executors.local]\nroles = ["admin"]\n'
ROLES = [(Role.SUBMITTER, 403), (Role.ADMIN, 200)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with such an executor."""
    with lab_with(TABLES, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize("chosen", [{}, {"executor": "local"}])
@pytest.mark.parametrize(("role", "status"), ROLES)
def test_an_executor_can_require_a_role_even_if_it_is_the_default(
    lab: Lab, role: Role, status: int, chosen: dict[str, str]
) -> None:
    response = lab.send("POST", "/evaluate?dry_run=1", role, json=request(**chosen))

    assert response.status_code == status
    assert status == 200 or response.json()["detail"] == (
        "executor 'local' requires the role admin"
    )


def test_an_executor_can_require_a_role_for_merges(lab: Lab) -> None:
    body = {"checkpoint_path": str(lab.data_dir / "outputs" / "checkpoint-1")}

    response = lab.send("POST", "/merge", Role.SUBMITTER, json=body)

    assert response.status_code == 403, response.text


def test_an_unknown_executor_is_invalid_for_every_role(lab: Lab) -> None:
    body = request(executor="gpu")

    response = lab.send("POST", "/evaluate", Role.SUBMITTER, json=body)

    assert response.status_code == 422
    assert "Known executors: local." in response.text


def test_a_further_attempt_requires_the_role_too(lab: Lab) -> None:
    job_id = lab.send("POST", "/evaluate", Role.ADMIN, json=request()).json()["job_id"]
    lab.send("DELETE", f"/jobs/{job_id}", Role.ADMIN)

    response = lab.send("POST", f"/jobs/{job_id}/retry", Role.SUBMITTER)

    assert response.status_code == 403


async def test_without_access_control_everybody_may_use_it(make_api: MakeApi) -> None:
    api = await make_api(executors=ONLY_ADMINS)

    job = await api.job(await api.submit())

    assert job["executor"] == "local"
