"""This client is a drop-in replacement for lmms-eval's client."""

import ast
import inspect
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from evalserver.client import AsyncEvalClient, EvalClient
from tests.client.both import call
from tests.client.conftest import MakeClient
from tests.client.faulty import FaultyServer, Reply
from tests.end_to_end.drive_client import drive
from tests.real_harness import interpreter
from tests.support import ServerProcess

CLIENTS = {"EvalClient": EvalClient, "AsyncEvalClient": AsyncEvalClient}


async def test_a_script_written_for_lmms_evals_client_works(
    server: ServerProcess, make_client: MakeClient
) -> None:
    async with server:
        got = await drive(make_client(server.url, timeout=300), task="mme", failing_model="dummy")

    assert got["health"]["status"] == "healthy"
    assert got["is_healthy"] is True
    assert "dummy" in got["models"]
    assert got["submitted"]["status"] == "queued"
    assert "cancel" in got["cancelled"]["message"]
    assert got["finished"]["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.5


async def test_submissions_of_lmms_engines_training_callback_are_sent_completely(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/evaluate", Reply({"job_id": "j1", "status": "queued"}))
    merge = {"model_path": "/run/100", "checkpoint_type": "ema", "output_path": None}

    job = await call(
        make_client(base_url=faulty.url),
        "evaluate",
        model="qwen2_5_vl",
        tasks=["mme"],
        model_args={"pretrained": "/run/100"},
        num_fewshot=None,
        batch_size=None,
        device=None,
        limit=None,
        gen_kwargs=None,
        log_samples=True,
        predict_only=False,
        num_gpus=1,
        output_dir="/run/100/eval",
        lmms_engine_kwargs=merge,
    )

    assert job["job_id"] == "j1"
    assert faulty.json("/evaluate") == {
        "model": "qwen2_5_vl",
        "tasks": ["mme"],
        "model_args": {"pretrained": "/run/100"},
        "log_samples": True,
        "predict_only": False,
        "num_gpus": 1,
        "output_dir": "/run/100/eval",
        "lmms_engine_kwargs": merge,
    }


async def test_a_merge_request_is_the_same_as_lmms_evals_client_sends(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.set_replies("/merge", Reply({"success": True, "merged_path": "/run/merged"}))

    answer = await call(make_client(faulty.url), "merge_checkpoint", "/run/100", None, "ema")

    assert answer["merged_path"] == "/run/merged"
    assert faulty.json("/merge") == {
        "checkpoint_path": "/run/100",
        "output_path": None,
        "checkpoint_type": "ema",
    }


async def test_http_errors_are_httpx_errors(make_client: MakeClient, faulty: FaultyServer) -> None:
    with pytest.raises(httpx.HTTPStatusError) as raised:
        await call(make_client(faulty.url), "get_job", "never-was")

    assert raised.value.response.status_code == 404


@pytest.mark.real_harness("lmms-eval")
@pytest.mark.parametrize("name", CLIENTS)
def test_every_method_of_lmms_evals_clients_has_the_same_parameters(name: str) -> None:
    for method, parameters in _methods(name).items():
        ours = inspect.signature(getattr(CLIENTS[name], method)).parameters
        positional = [each.name for each in ours.values() if each.kind is not each.KEYWORD_ONLY]
        assert positional[: len(parameters)] == parameters, method


def _methods(client: str) -> dict[str, list[str]]:
    """Return the public methods of a client of lmms-eval, with their positional parameters."""
    where = "import lmms_eval; print(lmms_eval.__path__[0])"
    command = [str(interpreter("lmms-eval")), "-c", where]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    source = Path(result.stdout.strip()) / "entrypoints" / "client.py"
    tree = ast.parse(source.read_text())
    [found] = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == client]
    functions = [
        each for each in found.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    methods: dict[str, Any] = {
        each.name: [argument.arg for argument in each.args.args]
        for each in functions
        if not each.name.startswith("_") or each.name == "__init__"
    }
    return methods
