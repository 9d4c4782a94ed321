"""Calls a server as users of lmms-eval's client do.

    python drive_client.py EvalClient|AsyncEvalClient URL CHECKPOINT

uses the client that lmms-eval ships, unmodified, in lmms-eval's own environment, and prints the
responses as JSON.
"""

import asyncio
import inspect
import json
import sys
from importlib import import_module
from typing import Any


async def drive(
    client: Any,
    task: str = "digits_vqa",
    failing_model: str = "whisper_vllm",
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Call each method, and await its result if the client is asynchronous.

    ``failing_model`` is known to the harness but cannot be loaded. A sharded ``checkpoint`` is
    merged if the client supports it: lmms-eval's asynchronous client does not.
    """

    async def call(method: str, *args: Any, **kwargs: Any) -> Any:
        value = getattr(client, method)(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    async def call_if_there(method: str) -> Any:
        return await call(method) if hasattr(client, method) else None

    got = {"health": await call("health"), "is_healthy": await call_if_there("is_healthy")}
    got["models"] = await call_if_there("list_models")
    got["tasks"] = await call_if_there("list_tasks")
    submitted = await call(
        "evaluate", model="dummy", tasks=[task], model_args={"response": "seven"}, limit=4
    )
    got["submitted"] = submitted
    second = await call("evaluate", model="dummy", tasks=[task])
    got["queue"] = await call("get_queue_status")
    got["cancelled"] = await call("cancel_job", second["job_id"])
    got["job"] = await call("get_job", submitted["job_id"])
    got["finished"] = await call(
        "wait_for_job", submitted["job_id"], poll_interval=0.2, verbose=False
    )
    failing = await call("evaluate", model=failing_model, tasks=[task])
    try:
        await call("wait_for_job", failing["job_id"], poll_interval=0.2, verbose=False)
    except RuntimeError as error:
        got["failure"] = str(error)
    if checkpoint is not None and hasattr(client, "merge_checkpoint"):
        got["merged"] = await call("merge_checkpoint", checkpoint, checkpoint_type="ema")
    return got


def main(name: str, url: str, checkpoint: str) -> None:
    """Print the responses that the client class ``name`` got from the server at ``url``."""
    client = getattr(import_module("lmms_eval.entrypoints"), name)(url, timeout=300)
    print(json.dumps(asyncio.run(drive(client, checkpoint=checkpoint))))


if __name__ == "__main__":
    main(*sys.argv[1:])
