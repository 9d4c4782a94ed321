"""Client strings on their way to a command line, log, header, query or file."""

import json
import socket
import sqlite3
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalserver.core.roles import Role
from tests.security.lab import JSON, Lab
from tests.support import request

REJECTED = HTTPStatus.UNPROCESSABLE_ENTITY

FLAGS = ["--include_path=/tmp", "-c", "--config=/etc/passwd", "x,trust_remote_code=True", "--"]
TEXT_FIELDS = ("model", "tasks", "device", "gen_kwargs", "output_dir", "engine")


def field(name: str, text: str) -> dict[str, Any]:
    """Return the fields of a request with this text in one of them."""
    return {name: [text] if name == "tasks" else text}


def submit_status(lab: Lab, body: Any) -> int:
    """Return the status of the response to a raw body."""
    text = json.dumps(body).encode()
    return lab.send("POST", "/evaluate", Role.SUBMITTER, content=text, headers=JSON).status_code


@pytest.mark.parametrize("name", TEXT_FIELDS)
@pytest.mark.parametrize("text", ["--help", "-x", "--model=other", "a\0b", "a\nb", "a\x1b[2Jb"])
def test_no_field_can_be_a_flag_or_contain_control_characters(
    lab: Lab, name: str, text: str
) -> None:
    assert submit_status(lab, request(**field(name, text))) == REJECTED


@pytest.mark.parametrize("name", TEXT_FIELDS)
def test_a_lone_surrogate_is_rejected_everywhere(lab: Lab, name: str) -> None:
    body = json.dumps(request(**field(name, "SURROGATE"))).replace("SURROGATE", "\\ud800")

    response = lab.send("POST", "/evaluate", Role.SUBMITTER, content=body.encode(), headers=JSON)

    assert response.status_code in (400, 422)


@pytest.mark.parametrize("task", ["/etc/passwd", "../t", "./t.yaml", "a/b", "~/t", "t.py", "a,b"])
def test_no_task_is_a_path(lab: Lab, task: str) -> None:
    assert submit_status(lab, request(tasks=[task])) == REJECTED


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "/", "/var/x", "../x", "a/../../x", "~/x", "/proc/self/cwd/x"],
)
def test_output_outside_the_allowed_directories_is_rejected(lab: Lab, path: str) -> None:
    response = lab.send("POST", "/evaluate", Role.SUBMITTER, json=request(output_dir=path))

    assert response.status_code == REJECTED
    assert [each["field"] for each in response.json()["errors"]] == ["output_dir"]


def test_the_error_for_a_rejected_path_names_the_flag(lab: Lab) -> None:
    response = lab.send("POST", "/evaluate", Role.SUBMITTER, json=request(output_dir="/var/x"))

    assert "--allow-path" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize("subpath", ["runs", "", "evalserver.db", "outputs/../runs"])
def test_output_in_the_servers_own_directories_is_rejected(lab: Lab, subpath: str) -> None:
    assert submit_status(lab, request(output_dir=str(lab.data_dir / subpath))) == REJECTED


def test_output_in_the_outputs_folder_is_accepted(lab: Lab) -> None:
    assert submit_status(lab, request(output_dir=str(lab.data_dir / "outputs" / "mine"))) == 200


def test_a_link_out_of_an_allowed_directory_is_rejected(lab: Lab, tmp_path: Path) -> None:
    link = lab.data_dir / "outputs" / "link"
    link.symlink_to(tmp_path)

    assert submit_status(lab, request(output_dir=str(link / "x"))) == REJECTED


PATHS = [
    "/jobs/{job}/artifacts/..%2f..%2f..%2fevalserver.db",
    "/jobs/{job}/artifacts/%2e%2e/%2e%2e/job.json",
    "/jobs/{job}/artifacts//etc/passwd",
    "/jobs/{job}/artifacts/%00",
    "/jobs/{job}/samples/..%2f..%2fjob.json",
    "/jobs/..%2f..%2fetc/log",
    "/static/..%2f..%2f/store/store.py",
    "/static/../templates/login.html",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_outside(lab: Lab, path: str) -> None:
    job_id = lab.submit()

    response = lab.send("GET", path.format(job=job_id), Role.ADMIN)

    assert response.status_code in (400, 404, 409, 422)


SQL = "' OR '1'='1' UNION SELECT secret_hash FROM tokens; DROP TABLE jobs; --"
FILTERS = ("model", "task", "engine", "submitted_by", "status", "label", "created_after", "cursor")


@pytest.mark.parametrize("name", FILTERS)
def test_no_filter_is_executed_as_sql(lab: Lab, name: str) -> None:
    text = f"a={SQL}" if name == "label" else SQL

    response = lab.send("GET", "/jobs", Role.ADMIN, params={name: text})

    assert response.status_code in (200, 422)
    assert response.json().get("jobs", []) == []
    assert lab.server.query("SELECT count(*) FROM jobs") != ["0"]


def test_client_text_cannot_add_a_log_line(lab: Lab) -> None:
    forged_line = "2030-01-01T00:00:00Z [info] forged"
    for path in (f"/%0a{forged_line}", f"/jobs/%0d%0a{forged_line}", f"/%1b[2J{forged_line}"):
        lab.send("GET", path, Role.ADMIN)
    lab.send("GET", "/queue", headers={"X-Forwarded-For": f"1.1.1.1 {forged_line}"})

    lines = lab.server.log.read_text().splitlines()
    assert not [line for line in lines if line.startswith(forged_line) or "\x1b" in line]


@pytest.mark.parametrize(
    "line", [b"GET /\x1b[2J HTTP/1.1", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b"]
)
def test_a_malformed_request_is_one_log_line(lab: Lab, line: bytes) -> None:
    before = len(lab.server.log.read_text().splitlines())
    with socket.create_connection(("127.0.0.1", lab.server.port)) as connection:
        connection.sendall(line + b"\r\n\r\n")
        response = connection.recv(1024)

    assert b" 400 " in response
    assert len(lab.server.log.read_text().splitlines()) - before <= 1
    assert "\x1b" not in lab.server.log.read_text()


def test_a_forwarded_address_from_an_untrusted_client_is_ignored(lab: Lab) -> None:
    lab.send("GET", "/queue", headers={"X-Forwarded-For": "6.6.6.6", "Authorization": "Bearer x"})

    log = lab.server.log.read_text()
    assert "address=127.0.0.1" in log
    assert "6.6.6.6" not in log


@pytest.mark.parametrize("name", ["Idempotency-Key", "Last-Event-ID", "Prefer", "If-None-Match"])
def test_no_header_is_echoed_as_a_new_line(lab: Lab, name: str) -> None:
    response = lab.send("GET", "/jobs/none", Role.ADMIN, headers={name: "x%0d%0aSet-Cookie: a=b"})

    assert "Set-Cookie" not in response.headers


def test_an_oversized_body_is_cut_off_and_a_deeply_nested_one_rejected(lab: Lab) -> None:
    huge = lab.send(
        "POST", "/evaluate", Role.SUBMITTER, headers=JSON,
        content=(b" " * 65536 for _ in range(64)),
    )  # fmt: skip
    deep = b'{"model_args": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"

    assert huge.status_code == 413
    assert lab.send(
        "POST", "/evaluate", Role.SUBMITTER, content=deep, headers=JSON
    ).status_code in (
        400,
        422,
    )
    assert lab.send("GET", "/health").status_code == 200


def test_an_unauthorized_client_is_rejected_before_its_body_is_read(lab: Lab) -> None:
    response = lab.send("POST", "/evaluate", content=b"x" * 900_000, headers=JSON)

    assert response.status_code == 401


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(FLAGS),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [*TEXT_FIELDS, "model_args", "limit", "num_gpus", "labels", "priority", "timeout_s", "seed",
     "batch_size", "num_fewshot", "lmms_engine_kwargs", "use_cache", "unknown"]
)  # fmt: skip


@hypothesis.settings(
    max_examples=300,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@given(fields=st.dictionaries(NAMES, VALUES, max_size=4))
def test_random_values_are_accepted_or_rejected_without_errors(
    lab: Lab, fields: dict[str, Any]
) -> None:
    assert submit_status(lab, {"model": "dummy", "tasks": ["mme"], **fields}) in (200, 400, 422)


def test_the_database_is_intact_after_all_tests(lab: Lab) -> None:
    uri = f"file:{lab.data_dir / 'evalserver.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
