"""The command line with the real lmms-eval: submitting one of its own files and waiting for it."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.end_to_end.conftest import Digits
from tests.support import ServerProcess

pytestmark = pytest.mark.real_harness("lmms-eval")


async def test_a_config_file_of_lmms_eval_is_evaluated(
    lmms_server: ServerProcess, digits: Digits, tmp_path: Path
) -> None:
    args = ",".join(f"{name}={value}" for name, value in digits.model_args.items())
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: async_openai\nmodel_args: {json.dumps(args)}\ntasks: digits_vqa\n"
        "batch_size: 1\nlog_samples: true\noutput_path: results/\n"
    )
    async with lmms_server as server:
        shell = Shell(server.url)
        done = await asyncio.to_thread(shell.run, "submit", "--config", config, "--wait")
        [job] = shell.json("jobs")
        [wrong, *_] = shell.stdout_of("samples", job["job_id"], "--only", "wrong").splitlines()[1:]

    head, row = done.stdout.splitlines()
    assert head.split() == ["TASK", "METRIC", "VALUE", "STDERR", "FILTER", "N"]
    assert row.split()[:2] == ["digits_vqa", "acc"]
    assert float(row.split()[2]) > 0.9
    assert wrong.split()[1] == "no"
