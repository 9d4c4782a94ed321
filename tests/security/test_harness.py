"""What reaches a harness, and what of it others see: arguments, variables, paths, secrets."""

import asyncio
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.roles import Role
from evalserver.web.pages.table import PAGES
from evalserver.web.routes import ROUTES
from tests.security.lab import Lab
from tests.support import Json, harness_of, request

TASK = "task: mine\ndataset_path: none\n"

KEY = "sk-abcdefghijklmnopqrstuvwx"
HUB = "hf_abcdefghijklmnopqrstuvwx"
OPERATOR_KEY = "the-operators-own"
SETTINGS = f"[engines.lmms_eval.defaults]\nmodel_args = {{ judge_api_key = '{OPERATOR_KEY}' }}\n"
PASSWORD = "quite-a-secret"  # noqa: S105 - the test's own


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A server with authentication and no jobs, whose environment contains secrets."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(TASK)
    (tmp_path / "foreign.yaml").write_text(TASK)
    for name in ("EVALSERVER_URL", "GITHUB_TOKEN", "DATABASE_PASSWORD", "MINE"):
        monkeypatch.setenv(name, PASSWORD)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    lab = Lab(
        tmp_path, "--config", str(tmp_path / "settings.toml"),
        "--allow-path", str(tmp_path / "shared"), "--task-path", str(tmp_path / "tasks"),
        "--engine-env", "MINE", "--engine-env", "GIVEN=1",
    )  # fmt: skip
    lab.open()
    yield lab
    lab.close()


def finished(lab: Lab, **fields: Any) -> Json:
    """Run a job of the submitter's to its end."""
    return lab.when(lab.submit(**fields), "completed", "failed")


def launch_spec(job: Json) -> Json:
    """Return how the runner started it: command line and environment."""
    values: Json = json.loads((Path(job["run_dir"]) / "job.json").read_text())
    return values


@pytest.mark.parametrize(
    "text", ["x,trust_remote_code=True", "x --config=/etc/x", "a=b,c", "$(id)"]
)
def test_a_string_is_one_argument_with_its_own_name(lab: Lab, text: str) -> None:
    job = finished(lab, model=text, device=text, model_args={"pretrained": text})

    argv = launch_spec(job)["argv"]
    assert f"--model={text}" in argv
    assert f"--device={text}" in argv
    assert not [arg for arg in argv if arg.startswith("--model_args") and "," in arg]
    assert len({arg.split("=")[0] for arg in argv[2:]}) == len(argv[2:])


def test_a_harness_gets_no_secret_of_the_server(lab: Lab) -> None:
    env = launch_spec(finished(lab))["env"]

    assert (env["MINE"], env["GIVEN"]) == (PASSWORD, "1")
    assert not [name for name in env if name.startswith(("GITHUB_", "DATABASE_"))]
    own = {name for name in env if name.startswith("EVALSERVER_")}
    assert own == {"EVALSERVER_ATTEMPT", "EVALSERVER_RUN_DIR"}
    assert "PATH" in env


def test_a_runners_environment_exposes_nothing_of_the_servers(lab: Lab) -> None:
    job = lab.when(lab.submit(model_args={"behave": "hang"}), "running")

    runner = asyncio.run(harness_of(job["job_id"])).parent()
    assert runner is not None
    environment = runner.environ()

    assert PASSWORD not in environment.values()
    assert not [
        name for name in environment if name.startswith(("GITHUB_", "AWS_", "HF_", "EVALSERVER_"))
    ]


@pytest.mark.parametrize("text", [f"api_key={PASSWORD}", f"x={KEY}", f"u=http://u:{PASSWORD}@h"])
def test_a_secret_in_generation_arguments_is_on_no_command_line(lab: Lab, text: str) -> None:
    argv = " ".join(launch_spec(finished(lab, gen_kwargs=text))["argv"])

    assert not [secret for secret in (PASSWORD, KEY) if secret in argv]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": KEY},
        {"model": f"m-{HUB}"},
        {"model": f"http://u:{PASSWORD}@host/m"},
        {"labels": {"note": KEY}},
        {"labels": {KEY: "note"}},
        {"device": KEY},
    ],
)
def test_a_secret_in_a_public_field_is_rejected(lab: Lab, fields: dict[str, Any]) -> None:
    rejected = lab.send("POST", "/evaluate", Role.SUBMITTER, json=request(**fields))

    assert rejected.status_code == 422
    assert "api_key" in rejected.json()["errors"][0]["message"]


def test_the_operators_secrets_are_hidden_from_submitters(lab: Lab) -> None:
    job = finished(lab, model_args={"api_key": PASSWORD})
    plan = lab.send("POST", "/evaluate?dry_run=1", Role.SUBMITTER, json=request())
    texts = [plan.text] + [
        lab.send("GET", path.format(job["job_id"]), Role.SUBMITTER).text
        for path in ("/jobs", "/jobs/{}", "/jobs/{}/log", "/jobs/{}/events", "/ui/jobs/{}")
    ]

    assert "judge_api_key" in plan.text
    assert not [text for text in texts if OPERATOR_KEY in text]
    assert job["request"]["model_args"]["api_key"] == PASSWORD
    stored = lab.server.query("SELECT request FROM jobs WHERE job_id = ?", job["job_id"])
    assert OPERATOR_KEY in stored[0]


def test_no_route_and_no_page_shows_a_secret_to_others(lab: Lab) -> None:
    secrets: tuple[str, ...] = (PASSWORD, KEY, HUB, OPERATOR_KEY)
    fields: dict[str, Any] = {
        "model_args": {"api_key": PASSWORD, "note": KEY},
        "gen_kwargs": f"token={HUB}",
    }
    jobs = [finished(lab, **fields)["job_id"] for _ in range(2)]
    jobs.append(lab.submit(**fields, priority=-1))
    request = {"model": "dummy", "tasks": ["mme"], "priority": -1, **fields}
    batch = lab.send("POST", "/batches", Role.SUBMITTER, json={"jobs": [request]}).json()
    names = {"task": "mme", "path": "p", "folder": "docs", "file": "docs.js", "name": "n"}
    names["batch_id"] = batch["batch_id"]
    asked = {"job": jobs[0], "baseline": jobs[1], "max_drop": 0.1}
    names["verdict_id"] = lab.send("POST", "/gate", Role.SUBMITTER, json=asked).json()["verdict_id"]
    receiver = {"url": "https://hooks.lab.example/evals"}
    webhook = lab.send("POST", "/webhooks", Role.ADMIN, json=receiver).json()
    names["webhook_id"], secrets = webhook["webhook_id"], (*secrets, webhook["secret"])
    paths = {
        route.path.format(job_id=job_id, **names)
        for route in (*ROUTES, *PAGES)
        for job_id in jobs
        if route.method == "GET" and not route.path.endswith("/events")
    }
    pair = f"job={jobs[0]}&job={jobs[1]}"
    paths |= {f"/compare?{pair}", f"/compare/samples/mme?{pair}", f"/ui/compare/samples/mme?{pair}"}

    for role in (Role.VIEWER, Role.ADMIN):
        for path in paths:
            response = lab.send("GET", path, role)
            assert response.status_code < 500, path
            assert not [secret for secret in secrets if secret in response.text], path


def test_secrets_are_visible_only_to_their_owner(lab: Lab) -> None:
    secrets = {"api_key": PASSWORD, "base_url": f"http://u:{PASSWORD}@host/v1", "note": KEY}
    job = finished(lab, model_args={**secrets, "deep": [{"hf_token": HUB}]}, tasks=["mme"])
    path = f"/jobs/{job['job_id']}"

    own = lab.send("GET", path, Role.SUBMITTER).text
    assert all(secret in own for secret in (PASSWORD, KEY, HUB))
    for role in (Role.VIEWER, Role.ADMIN):
        for url in (path, "/jobs", f"{path}/log", f"{path}/events", f"{path}/results"):
            text = lab.send("GET", url, role).text
            assert not [secret for secret in (PASSWORD, KEY, HUB) if secret in text], url
    log = lab.server.log.read_text()
    assert not [secret for secret in (PASSWORD, KEY, HUB) if secret in log]
    assert PASSWORD not in " ".join(launch_spec(job)["argv"])


def test_a_results_file_reveals_no_secret(lab: Lab) -> None:
    job = finished(lab, model_args={"api_key": PASSWORD, "deep": [{"hf_token": HUB}]})
    path = f"/jobs/{job['job_id']}/artifacts"

    [results] = [
        each
        for each in lab.send("GET", path, Role.VIEWER).json()["artifacts"]
        if each["path"].endswith("results.json")
    ]
    text = lab.send("GET", results["url"], Role.VIEWER).text
    archive_bytes = lab.send("GET", f"{path}?format=zip", Role.VIEWER).content
    with zipfile.ZipFile(io.BytesIO(archive_bytes)) as archive:
        text += "".join(archive.read(name).decode() for name in archive.namelist())

    assert json.loads(lab.send("GET", results["url"], Role.VIEWER).text)["config"]["model_args"]
    assert not [secret for secret in (PASSWORD, HUB) if secret in text]


def test_a_path_replaced_by_a_link_after_the_submission_is_rejected_at_the_start(
    lab: Lab, tmp_path: Path
) -> None:
    blocking = lab.submit(model_args={"behave": "hang"})
    lab.when(blocking, "running")
    (tmp_path / "shared").mkdir()
    (tmp_path / "outside").mkdir()
    waiting = lab.submit(output_dir=str(tmp_path / "shared" / "mine"))

    (tmp_path / "shared" / "mine").symlink_to(tmp_path / "outside")
    lab.send("DELETE", f"/jobs/{blocking}", Role.ADMIN)

    job = lab.when(waiting, "failed", "completed")
    assert job["status"] == "failed"
    assert "--allow-path" in job["error"]
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_task_file_is_accepted_in_an_allowed_directory(lab: Lab, tmp_path: Path) -> None:
    inside, outside = tmp_path / "tasks" / "mine.yaml", tmp_path / "foreign.yaml"
    link = tmp_path / "tasks" / "link.yaml"
    link.symlink_to(outside)

    def status(task: object) -> int:
        body = {"model": "dummy", "tasks": [str(task)]}
        return lab.send("POST", "/evaluate", Role.SUBMITTER, json=body).status_code

    assert status(inside) == 200
    for task in (outside, link, inside.parent / "../foreign.yaml", inside.parent / "none.yaml"):
        assert status(task) == 422


@pytest.mark.parametrize("name", ["..", "a/../../b", "c:\\x", "-rf", "line\nbreak", 'quo"te'])
def test_names_in_archives_and_headers_cannot_inject_anything(lab: Lab, name: str) -> None:
    job = finished(lab)
    if name not in ("..", "a/../../b"):
        (Path(job["output_dir"]) / name).write_text("x")
    response = lab.send("GET", f"/jobs/{job['job_id']}/artifacts?format=zip", Role.VIEWER)

    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        names = archive.namelist()
    assert names
    assert not [each for each in names if each.startswith("/") or ".." in each.split("/")]
    listed = lab.send("GET", f"/jobs/{job['job_id']}/artifacts", Role.VIEWER).json()["artifacts"]
    for each in listed:
        path = each.get("url") or f"/jobs/{job['job_id']}/artifacts/{each['path']}"
        assert "Set-Cookie" not in lab.send("GET", path, Role.VIEWER).headers
