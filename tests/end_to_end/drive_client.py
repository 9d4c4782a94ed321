"""Drives a server with the client that lmms-eval ships, unmodified; prints what it got as JSON.

    python drive_client.py EvalClient|AsyncEvalClient URL

Runs in lmms-eval's own environment. Every method is called but ``merge_checkpoint``.
"""

import asyncio
import inspect
import json
import sys

from lmms_eval import entrypoints


async def drive(client):
    """Call each method; what the synchronous client returns at once, the other is awaited for."""

    async def call(method, *args, **kwargs):
        value = getattr(client, method)(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    async def call_if_there(method):
        return await call(method) if hasattr(client, method) else None

    got = {"health": await call("health"), "is_healthy": await call_if_there("is_healthy")}
    got["models"] = await call_if_there("list_models")
    got["tasks"] = await call_if_there("list_tasks")
    submitted = await call(
        "evaluate", model="dummy", tasks=["digits_vqa"], model_args={"response": "seven"}, limit=4
    )
    got["submitted"] = submitted
    second = await call("evaluate", model="dummy", tasks=["digits_vqa"])
    got["queue"] = await call("get_queue_status")
    got["cancelled"] = await call("cancel_job", second["job_id"])
    got["job"] = await call("get_job", submitted["job_id"])
    got["finished"] = await call(
        "wait_for_job", submitted["job_id"], poll_interval=0.2, verbose=False
    )
    failing = await call("evaluate", model="no_such_model", tasks=["digits_vqa"])
    try:
        await call("wait_for_job", failing["job_id"], poll_interval=0.2, verbose=False)
    except RuntimeError as error:
        got["failure"] = str(error)
    return got


def main(name, url):
    """Print what the client called ``name`` got from the server at ``url``."""
    client = getattr(entrypoints, name)(url, timeout=120)
    print(json.dumps(asyncio.run(drive(client))))


if __name__ == "__main__":
    main(*sys.argv[1:])
