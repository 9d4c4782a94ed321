"""What reaches a harness, and what of it reaches others: arguments, variables, places, secrets."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.roles import Role
from tests.security.lab import Lab
from tests.support import Json

TASK = "task: mine\ndataset_path: none\n"

KEY = "sk-abcdefghijklmnopqrstuvwx"
HUB = "hf_abcdefghijklmnopqrstuvwx"
PASSWORD = "quite-a-secret"  # noqa: S105 - the test's own


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A closed server with nothing to do, whose environment has secrets."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(TASK)
    (tmp_path / "foreign.yaml").write_text(TASK)
    for name in ("EVALSERVER_URL", "AWS_SECRET_ACCESS_KEY", "DATABASE_PASSWORD", "MINE"):
        monkeypatch.setenv(name, PASSWORD)
    lab = Lab(
        tmp_path, "--allow-path", str(tmp_path / "shared"), "--task-path", str(tmp_path / "tasks"),
        "--engine-env", "MINE", "--engine-env", "GIVEN=1",
    )  # fmt: skip
    lab.open()
    yield lab
    lab.close()


def finished(lab: Lab, **fields: Any) -> Json:
    """A job of the submitter's, once it has ended."""
    return lab.when(lab.submit(**fields), "completed", "failed")


def ran(job: Json) -> Json:
    """How the runner ran it: command line and environment."""
    values: Json = json.loads((Path(job["run_dir"]) / "job.json").read_text())
    return values


@pytest.mark.parametrize(
    "text", ["x,trust_remote_code=True", "x --config=/etc/x", "a=b,c", "$(id)"]
)
def test_a_text_is_one_argument_with_its_own_name(lab: Lab, text: str) -> None:
    job = finished(lab, model=text, device=text, model_args={"pretrained": text})

    argv = ran(job)["argv"]
    assert f"--model={text}" in argv
    assert f"--device={text}" in argv
    assert not [word for word in argv if word.startswith("--model_args") and "," in word]
    assert len({word.split("=")[0] for word in argv[2:]}) == len(argv[2:])


def test_a_harness_gets_no_secret_of_the_server(lab: Lab) -> None:
    env = ran(finished(lab))["env"]

    assert (env["MINE"], env["GIVEN"]) == (PASSWORD, "1")
    assert not [name for name in env if name.startswith(("AWS_", "DATABASE_"))]
    assert [name for name in env if name.startswith("EVALSERVER_")] == ["EVALSERVER_ATTEMPT"]
    assert "PATH" in env


def test_secrets_are_shown_to_their_owner_alone(lab: Lab) -> None:
    secrets = {"api_key": PASSWORD, "base_url": f"http://u:{PASSWORD}@host/v1", "note": KEY}
    job = finished(lab, model_args={**secrets, "deep": [{"hf_token": HUB}]}, tasks=["mme"])
    path = f"/jobs/{job['job_id']}"

    own = lab.ask("GET", path, Role.SUBMITTER).text
    assert all(secret in own for secret in (PASSWORD, KEY, HUB))
    for role in (Role.VIEWER, Role.ADMIN):
        for where in (path, "/jobs", f"{path}/log", f"{path}/events", f"{path}/results"):
            shown = lab.ask("GET", where, role).text
            assert not [secret for secret in (PASSWORD, KEY, HUB) if secret in shown], where
    log = lab.server.log.read_text()
    assert not [secret for secret in (PASSWORD, KEY, HUB) if secret in log]
    assert PASSWORD not in " ".join(ran(job)["argv"])


def test_a_results_file_shows_nobody_a_secret(lab: Lab) -> None:
    job = finished(lab, model_args={"api_key": PASSWORD, "deep": [{"hf_token": HUB}]})
    path = f"/jobs/{job['job_id']}/artifacts"

    [results] = [
        each
        for each in lab.ask("GET", path, Role.VIEWER).json()["artifacts"]
        if each["path"].endswith("results.json")
    ]
    text = lab.ask("GET", results["url"], Role.VIEWER).text
    packed = lab.ask("GET", f"{path}?format=zip", Role.VIEWER).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        text += "".join(archive.read(name).decode() for name in archive.namelist())

    assert json.loads(lab.ask("GET", results["url"], Role.VIEWER).text)["config"]["model_args"]
    assert not [secret for secret in (PASSWORD, HUB) if secret in text]


def test_a_place_that_became_a_link_after_the_submission_is_refused_at_the_start(
    lab: Lab, tmp_path: Path
) -> None:
    blocking = lab.submit(model_args={"behave": "hang"})
    lab.when(blocking, "running")
    (tmp_path / "shared").mkdir()
    (tmp_path / "outside").mkdir()
    waiting = lab.submit(output_dir=str(tmp_path / "shared" / "mine"))

    (tmp_path / "shared" / "mine").symlink_to(tmp_path / "outside")
    lab.ask("DELETE", f"/jobs/{blocking}", Role.ADMIN)

    job = lab.when(waiting, "failed", "completed")
    assert job["status"] == "failed"
    assert "--allow-path" in job["error"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_task_file_may_be_named_where_the_operator_says_so(lab: Lab, tmp_path: Path) -> None:
    inside, outside = tmp_path / "tasks" / "mine.yaml", tmp_path / "foreign.yaml"
    link = tmp_path / "tasks" / "link.yaml"
    link.symlink_to(outside)

    def status(task: object) -> int:
        body = {"model": "dummy", "tasks": [str(task)]}
        return lab.ask("POST", "/evaluate", Role.SUBMITTER, json=body).status_code

    assert status(inside) == 200
    for task in (outside, link, inside.parent / "../foreign.yaml", inside.parent / "none.yaml"):
        assert status(task) == 422


@pytest.mark.parametrize("name", ["..", "a/../../b", "c:\\x", "-rf", "line\nbreak", 'quo"te'])
def test_names_in_an_archive_and_in_headers_stay_names(lab: Lab, name: str) -> None:
    job = finished(lab)
    if name not in ("..", "a/../../b"):
        (Path(job["output_dir"]) / name).write_text("x")
    answer = lab.ask("GET", f"/jobs/{job['job_id']}/artifacts?format=zip", Role.VIEWER)

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
    assert names
    assert not [each for each in names if each.startswith("/") or ".." in each.split("/")]
    listed = lab.ask("GET", f"/jobs/{job['job_id']}/artifacts", Role.VIEWER).json()["artifacts"]
    for each in listed:
        path = each.get("url") or f"/jobs/{job['job_id']}/artifacts/{each['path']}"
        assert "Set-Cookie" not in lab.ask("GET", path, Role.VIEWER).headers
