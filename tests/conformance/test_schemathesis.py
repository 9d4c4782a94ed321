"""schemathesis against a real server: every generated request is answered as described."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.cli.commands import data_dir_option, run_evalserver
from tests.support import Api, Json, ServerProcess

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

EXAMPLES = 25
"""Examples per operation and kind of test; with these, a run takes half a minute."""

STREAM = "text/event-stream"


@pytest.mark.timeout(600)
async def test_schemathesis_finds_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Relative output directories of generated requests end up in here.
    monkeypatch.chdir(tmp_path)
    server = ServerProcess(tmp_path / "data", "--cancel-grace", "1", "--allow-path", str(tmp_path))
    made = run_evalserver(
        *("token", "create", "--name=schemathesis", "--role=admin"),
        *data_dir_option(server.data_dir),
    )
    async with server:
        to_prune, to_retry, queued, *finished = await _leave_jobs(server.api)
        artifacts = await server.api.call("GET", f"/jobs/{finished[0]}/artifacts")
        names = {
            "jobs": finished,
            "jobs_to_prune": [to_prune],
            "jobs_to_retry": [to_retry],
            "queued_jobs": [queued],
            "jobs_with_artifacts": [finished[0]],
            "artifacts": [each["path"] for each in artifacts["artifacts"]],
        }
        description = await server.api.call("GET", "/openapi.json")

        code, output = await _run(
            "--config-file", str(_config(tmp_path, names)),
            "run", f"{server.url}/openapi.json",
            "--header", f"Authorization: Bearer {made.stdout.strip()}",
            "--max-examples", str(EXAMPLES), "--continue-on-failure",
            *_left_out(description),
        )  # fmt: skip

    assert code == 0, output
    assert "Stateful" in output, output


async def _leave_jobs(api: Api) -> list[str]:
    """Create two finished jobs, a queued one, and further finished ones.

    Generated jobs queue up behind one that never ends.
    """
    finished = [await api.submit() for _ in range(7)]
    for job_id in finished:
        await api.finished(job_id)
    await api.when(await api.submit(model_args={"behave": "hang"}), "running")
    return [*finished[:2], await api.submit(), *finished[2:]]


def _config(place: Path, names: dict[str, list[str]]) -> Path:
    """The configuration beside this file, plus the values for path parameters."""
    path = place / "schemathesis.toml"
    text = (HERE / "schemathesis.toml").read_text()
    for name, values in names.items():
        text += f"\n[dictionaries.{name}]\nvalues = {json.dumps(values)}\n"
    path.write_text(text)
    return path


def _left_out(description: Json) -> list[str]:
    """The options that exclude endless responses."""
    return [
        word
        for path in description["paths"].values()
        for operation in path.values()
        if any(STREAM in answer.get("content", ()) for answer in operation["responses"].values())
        for word in ("--exclude-operation-id", operation["operationId"])
    ]


async def _run(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli"),
        *arguments,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.conformance.hooks",
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()
