"""A training run submits its checkpoints, and collects their results."""

import asyncio
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.client.both import call, collect
from tests.client.conftest import MakeClient
from tests.client.faulty import FaultyServer, Reply
from tests.support import WAIT_SECONDS, Json, ServerProcess, until

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"
RUN: Json = {"series": "run1", "model": "dummy", "tasks": ["mme"]}


async def submit(client: Any, step: int, **fields: Any) -> str:
    """Submit a checkpoint, and return the job id."""
    job = await call(client, "submit_checkpoint", "org/model", step=step, **{**RUN, **fields})
    return str(job["job_id"])


async def wait(client: Any, *jobs: str) -> None:
    """Wait until these jobs are completed."""
    for job_id in jobs:
        await call(client, "wait_for_job", job_id, verbose=False)


class TestSubmitting:
    """``submit_checkpoint``."""

    QUEUED = Reply({"job_id": "j1", "status": "queued"})

    async def test_labels_the_job_and_names_the_checkpoint(
        self, make_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)

        await call(
            make_client(faulty.url),
            "submit_checkpoint",
            "org/model",
            step=100,
            model_args={"dtype": "bfloat16"},
            labels={"team": "a"},
            limit=8,
            **RUN,
        )

        body = faulty.json("/evaluate")
        assert body["model_args"] == {"dtype": "bfloat16", "pretrained": "org/model"}
        assert body["labels"] == {"team": "a", "series": "run1", "step": "100"}
        assert (body["series"], body["step"]) == ("run1", 100)
        assert body["limit"] == 8

    async def test_makes_an_existing_path_absolute(
        self,
        make_client: MakeClient,
        faulty: FaultyServer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)
        (tmp_path / "checkpoint-1").mkdir()
        monkeypatch.chdir(tmp_path)

        await call(
            make_client(faulty.url),
            "submit_checkpoint",
            Path("checkpoint-1"),
            step=1,
            model_args_key="model",
            **RUN,
        )

        assert faulty.json("/evaluate")["model_args"] == {"model": str(tmp_path / "checkpoint-1")}

    @pytest.mark.parametrize(
        ("other", "same"),
        [
            ({}, True),
            ({"limit": None}, True),
            ({"step": 2}, False),
            ({"series": "run2"}, False),
            ({"tasks": ["gsm8k"]}, False),
            ({"limit": 8}, False),
        ],
    )
    async def test_uses_the_same_key_for_the_same_submission(
        self, make_client: MakeClient, faulty: FaultyServer, other: Json, same: bool
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)

        await submit(make_client(faulty.url), **{"step": 1})
        await submit(make_client(faulty.url), **{"step": 1, **other})

        first, second = (each.headers["Idempotency-Key"] for each in faulty.received)
        assert (first == second) is same

    async def test_is_the_same_submission_as_that_of_a_client_that_sent_labels_alone(
        self, server: ServerProcess, make_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)
        await submit(make_client(faulty.url), 100)
        sent = faulty.received[0]
        headers = {"Idempotency-Key": sent.headers["Idempotency-Key"]}
        body = faulty.json("/evaluate")
        del body["series"], body["step"]
        async with server:
            old = await server.api.call("POST", "/evaluate", json=body, headers=headers)

            assert await submit(make_client(server.url), 100) == old["job_id"]

    async def test_uses_the_callers_key(
        self, make_client: MakeClient, faulty: FaultyServer
    ) -> None:
        faulty.set_replies("/evaluate", self.QUEUED)

        await submit(make_client(faulty.url), 1, idempotency_key="mine")

        assert faulty.received[0].headers["Idempotency-Key"] == "mine"

    async def test_returns_the_same_job_after_a_crash_of_client_and_server(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            first = await submit(make_client(server.url), 100)
            server.kill()
            await server.start()

            again = await submit(make_client(server.url), 100)

            assert again == first


class TestCollecting:
    """``completed_since``."""

    async def test_returns_each_finished_job_once(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            first, second = await submit(client, 1), await submit(client, 2)
            await wait(client, first, second)
            collected, cursor = await call(client, "completed_since")
            third = await submit(client, 3)
            await wait(client, third)

            more, cursor = await call(client, "completed_since", cursor)

            assert [job["job_id"] for job in collected] == [first, second]
            assert [job["job_id"] for job in more] == [third]
            assert await call(client, "completed_since", cursor) == ([], cursor)

    async def test_returns_the_metrics_with_the_job(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            await wait(client, await submit(client, 1))

            [job], _ = await call(client, "completed_since")

        assert job["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.5

    async def test_returns_failed_and_cancelled_jobs_as_well(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            await submit(client, 1, model_args={"behave": "crash"})
            hangs = await submit(client, 2, model_args={"behave": "hang"})
            await server.api.when(hangs, "running")
            await call(client, "cancel_job", hangs)
            await server.api.finished(hangs)

            jobs, _ = await call(client, "completed_since")

        assert [job["status"] for job in jobs] == ["failed", "cancelled"]

    async def test_returns_only_jobs_of_the_series(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            other = await submit(client, 1, series="run2")
            mine = await submit(client, 1, labels={"team": "a"})
            await wait(client, other, mine)

            jobs, _ = await call(client, "completed_since", series="run1", labels={"team": "a"})

        assert [job["job_id"] for job in jobs] == [mine]

    async def test_continues_after_a_restart_of_the_server(
        self, server: ServerProcess, make_client: MakeClient
    ) -> None:
        async with server:
            client = make_client(server.url)
            await wait(client, await submit(client, 1))
            _, cursor = await call(client, "completed_since")
            server.kill()
            await server.start()
            second = await submit(client, 2)
            await wait(client, second)

            jobs, _ = await call(client, "completed_since", cursor)

        assert [job["job_id"] for job in jobs] == [second]

    async def test_rejects_an_invalid_cursor(self, make_client: MakeClient) -> None:
        with pytest.raises(ValueError, match="'yesterday' is not a cursor that completed_since"):
            await call(make_client("http://127.0.0.1:9"), "completed_since", "yesterday")


KNOWN_TO_THE_STAND_IN = {"qwen2_vl": "dummy", "mmmu_val": "ai2d"}


class Training:
    """The script of docs/training.md in a separate process."""

    def __init__(self, folder: Path, url: str) -> None:
        [code] = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
        self._script = folder / "train.py"
        # The stand-in has other names than the harness of the guide.
        for name, known in KNOWN_TO_THE_STAND_IN.items():
            code = code.replace(name, known)
        self._script.write_text(code)
        self._environment = {**os.environ, "EVALSERVER_URL": url}
        self.output = folder / "output"

    def start(self) -> subprocess.Popen[bytes]:
        """Start training, continuing where it stopped."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, str(self._script)],
                cwd=self._script.parent,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def reported(self) -> Counter[str]:
        """Return how often each step was reported."""
        return Counter(re.findall(r"^(step \d+): mme: ", self.output.read_text(), re.MULTILINE))


async def test_the_guides_script_gets_every_metric_through_crashes_of_both_processes(
    server: ServerProcess, make_client: MakeClient, tmp_path: Path
) -> None:
    async with server:
        training = Training(tmp_path, server.url)
        process = training.start()
        await until(_submitted(server, 2))
        process.kill()
        process.wait()
        server.kill()
        await server.start()

        process = training.start()

        assert await asyncio.to_thread(process.wait, WAIT_SECONDS) == 0, training.output.read_text()
        jobs = await collect(make_client(server.url), "jobs", labels={"series": "7b-run3"})
    assert sorted(job["labels"]["step"] for job in jobs) == ["100", "200", "300", "400"]
    assert set(training.reported()) == {"step 100", "step 200", "step 300", "step 400"}


def _submitted(server: ServerProcess, count: int) -> Any:
    async def submitted() -> bool:
        return len((await server.api.call("GET", "/jobs"))["jobs"]) >= count

    return submitted
