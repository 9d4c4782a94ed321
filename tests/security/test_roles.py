"""Permissions: every route, requested with every role."""

import pytest

from evalserver.core.roles import RANK, Role
from evalserver.web.http.route import Route
from evalserver.web.pages.table import PAGES
from evalserver.web.routes import ROUTES
from tests.security.lab import Lab

REJECTED = (401, 403)
ENDLESS = "/events"

every_route = pytest.mark.parametrize(
    "route", (*ROUTES, *PAGES), ids=lambda route: f"{route.method} {route.path}"
)
CALLERS: dict[str, Role | None] = {
    "nobody": None, "viewer": Role.VIEWER, "submitter": Role.SUBMITTER, "admin": Role.ADMIN,
}  # fmt: skip


def path_of(route: Route) -> str:
    """Return a path of the route that names nothing existing."""
    names = {
        "job_id": "none", "task": "t", "path": "p", "folder": "f", "file": "f", "name": "none",
        "gpu": "none", "batch_id": "none", "webhook_id": "none",
        "verdict_id": "1",
    }  # fmt: skip
    return route.path.format(**names)


@every_route
def test_every_route_declares_its_role(route: Route) -> None:
    assert route.role is not None, f"give the row {route.method} {route.path} role=Role.SOMETHING"


@every_route
@pytest.mark.parametrize("caller", CALLERS)
def test_a_route_is_open_to_its_role_and_to_none_below(lab: Lab, route: Route, caller: str) -> None:
    role, needed = CALLERS[caller], route.role or Role.ADMIN
    if route.path == ENDLESS and role is not None:
        return  # authorized roles get an endless stream: see test_tokens
    response = lab.send(route.method, path_of(route), role)

    is_authorized = RANK[role or Role.ANYONE] >= RANK[needed]
    is_login = route.path == "/login" and route.method == "POST"
    if is_authorized:
        assert response.status_code not in REJECTED or is_login, response.text
    else:
        assert response.status_code == (401 if role is None else 403), response.text
        page = route in PAGES
        kind = "text/html; charset=utf-8" if page else "application/problem+json"
        assert response.headers["Content-Type"] == kind


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/jobs", "/jobs/", "//jobs", "/jobs/../jobs", "/%6aobs", "/JOBS"])
def test_no_alternative_spelling_of_a_path_bypasses_authorization(
    lab: Lab, method: str, path: str
) -> None:
    assert lab.send(method, path).status_code in (401, 404, 405, 400, 403)


def test_only_the_submitter_and_administrators_cancel_a_job(lab: Lab) -> None:
    lab.tokens[Role.ANYONE] = lab.make_token("other", Role.SUBMITTER)
    job_id = lab.submit(Role.SUBMITTER)

    rejected = lab.send("DELETE", f"/jobs/{job_id}", Role.ANYONE)
    assert rejected.status_code == 403
    assert "submitted by submitter" in rejected.json()["detail"]
    assert lab.send("GET", f"/jobs/{job_id}", Role.VIEWER).json()["status"] == "queued"

    assert lab.send("DELETE", f"/jobs/{job_id}", Role.SUBMITTER).status_code == 200
    assert lab.send("POST", f"/jobs/{job_id}/retry", Role.ANYONE).status_code == 403
    assert lab.send("POST", f"/jobs/{job_id}/retry", Role.SUBMITTER).status_code == 200
    assert lab.send("DELETE", f"/jobs/{job_id}", Role.ADMIN).status_code == 200


def test_only_the_submitter_and_administrators_cancel_a_batch(lab: Lab) -> None:
    lab.tokens[Role.ANYONE] = lab.make_token("another", Role.SUBMITTER)
    body = {"jobs": [{"model": "dummy", "tasks": ["mme"]}]}
    batch = lab.send("POST", "/batches", Role.SUBMITTER, json=body).json()["batch_id"]

    rejected = lab.send("DELETE", f"/batches/{batch}", Role.ANYONE)
    assert rejected.status_code == 403
    assert "submitted by submitter" in rejected.json()["detail"]

    assert lab.send("DELETE", f"/batches/{batch}", Role.SUBMITTER).status_code == 200
    assert lab.send("DELETE", f"/batches/{batch}", Role.ADMIN).status_code == 200


def test_a_job_and_its_events_show_the_tokens_name(lab: Lab) -> None:
    job_id = lab.submit(Role.SUBMITTER)
    lab.send("DELETE", f"/jobs/{job_id}", Role.ADMIN)

    actors = lab.server.query(
        "SELECT actor FROM job_events WHERE job_id = ? ORDER BY event_id", job_id
    )
    assert actors == ["submitter", "admin"]
    job = lab.send("GET", f"/jobs/{job_id}", Role.VIEWER).json()
    assert job["submitted_by"] == "submitter"


def test_an_idempotency_key_reveals_no_job_of_another_token(lab: Lab) -> None:
    body = {"model": "dummy", "tasks": ["mme"]}
    headers = {"Idempotency-Key": "the same"}
    mine = lab.send("POST", "/evaluate", Role.SUBMITTER, json=body, headers=headers).json()

    theirs = lab.send("POST", "/evaluate", Role.ADMIN, json=body, headers=headers).json()

    assert mine["job_id"] != theirs["job_id"]
