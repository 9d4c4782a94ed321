"""Whoever uses lmms-eval's client can use ours in its place."""

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
from tests.client.faulty import Answer, FaultyServer
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


async def test_what_lmms_engines_training_callback_submits_arrives(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/evaluate", Answer({"job_id": "j1", "status": "queued"}))
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


async def test_merging_asks_as_lmms_evals_client_does(
    make_client: MakeClient, faulty: FaultyServer
) -> None:
    faulty.answers("/merge", Answer({"success": True, "merged_path": "/run/merged"}))

    answer = await call(make_client(faulty.url), "merge_checkpoint", "/run/100", None, "ema")

    assert answer["merged_path"] == "/run/merged"
    assert faulty.json("/merge") == {
        "checkpoint_path": "/run/100",
        "output_path": None,
        "checkpoint_type": "ema",
    }


async def test_errors_of_http_are_httpxs(make_client: MakeClient, faulty: FaultyServer) -> None:
    with pytest.raises(httpx.HTTPStatusError) as raised:
        await call(make_client(faulty.url), "get_job", "never-was")

    assert raised.value.response.status_code == 404


@pytest.mark.real_harness("lmms-eval")
@pytest.mark.parametrize("name", CLIENTS)
def test_every_method_and_parameter_of_lmms_evals_clients_is_there_in_its_place(name: str) -> None:
    for method, parameters in _methods(name).items():
        ours = inspect.signature(getattr(CLIENTS[name], method)).parameters
        positional = [each.name for each in ours.values() if each.kind is not each.KEYWORD_ONLY]
        assert positional[: len(parameters)] == parameters, method


def _methods(client: str) -> dict[str, list[str]]:
    """The public methods of a client that lmms-eval ships, with their positional parameters."""
    where = "import lmms_eval; print(lmms_eval.__path__[0])"
    command = [str(interpreter("lmms-eval")), "-c", where]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    source = Path(done.stdout.strip()) / "entrypoints" / "client.py"
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
