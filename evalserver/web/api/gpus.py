"""The managed GPUs: who holds them, what they do, and taking one out of use."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from evalserver.gpus.guard import holder_of
from evalserver.gpus.inventory import Gpu
from evalserver.gpus.monitor import INTERVAL_SECONDS, Point
from evalserver.gpus.process_owners import Processes
from evalserver.store import Hold, Quarantine
from evalserver.web.http.errors import BadRequest
from evalserver.web.http.responses import json_response
from evalserver.web.keys import GPU_GUARD, GPU_MONITOR, GPUS, QUERY, STORE
from evalserver.web.security.authorization import CALLER

log = structlog.get_logger("evalserver.web")

DEFAULT_REASON = "no reason was given"


async def get_gpus(request: web.Request) -> web.Response:
    """``GET /gpus``: the managed GPUs: who holds them, and their latest readings.

    Empty with ``--gpus none``.
    """
    return json_response({"gpus": await gpus_json(request.app)})


async def gpus_json(app: web.Application) -> list[dict[str, Any]]:
    """Return the managed GPUs as the API describes them. Raises StoreUnavailable."""
    if not app[GPUS]:
        return []
    holds = await app[STORE].gpus.holds()
    quarantines = await app[STORE].gpus.quarantines()
    unavailable = await app[GPU_GUARD].unavailable()
    return [
        {
            **_status_json(gpu, holds, quarantines, unavailable),
            **_readings_json(app, gpu, app[GPU_GUARD].processes(gpu.id)),
        }
        for gpu in app[GPUS]
    ]


async def quarantine(request: web.Request) -> web.Response:
    """``PUT /gpus/{gpu}/quarantine``: start nothing on a GPU, named by its UUID or index.

    A job that holds it runs on until it ends. It lasts until ``DELETE``, also after a restart.
    """
    gpu, actor = _named_gpu(request), request[CALLER].name
    reason = request[QUERY].get("reason", DEFAULT_REASON)
    await request.app[STORE].gpus.quarantine(gpu.id, actor, reason)
    request.app[GPU_GUARD].wake()
    log.warning("quarantined a GPU: nothing is started on it", gpu=gpu.id, by=actor, reason=reason)
    holder = holder_of(gpu, await request.app[STORE].gpus.holds())
    rest = "" if holder is None else f"; {holder.kind} {holder.holder_id} runs on until it ends"
    return json_response(
        {"message": f"GPU {_title(gpu)} is quarantined: nothing is started on it{rest}"}
    )


async def end_quarantine(request: web.Request) -> web.Response:
    """``DELETE /gpus/{gpu}/quarantine``: start jobs on a GPU again."""
    gpu, actor = _named_gpu(request), request[CALLER].name
    if not await request.app[STORE].gpus.end_quarantine(gpu.id, actor):
        return json_response(
            {"message": f"GPU {_title(gpu)} was not quarantined; nothing was changed"}
        )
    request.app[GPU_GUARD].wake()
    log.info("ended the quarantine of a GPU", gpu=gpu.id, by=actor)
    return json_response({"message": f"GPU {_title(gpu)} is not quarantined any more"})


def _named_gpu(request: web.Request) -> Gpu:
    named, gpus = request.match_info["gpu"], request.app[GPUS]
    for gpu in gpus:
        if named in (gpu.id, str(gpu.index)):
            return gpu
    managed = ", ".join(map(_title, gpus)) or "none; the server was started with --gpus none"
    raise BadRequest(
        HTTPStatus.NOT_FOUND, f"The server manages no GPU {named}. It manages: {managed}"
    )


def _title(gpu: Gpu) -> str:
    return gpu.id if gpu.index is None or gpu.id == str(gpu.index) else f"{gpu.index} ({gpu.id})"


def _status_json(
    gpu: Gpu,
    holds: Mapping[str, Hold],
    quarantines: Mapping[str, Quarantine],
    unavailable: Mapping[str, str],
) -> dict[str, Any]:
    holder, reason, quarantined = (
        holder_of(gpu, holds),
        unavailable.get(gpu.id),
        quarantines.get(gpu.id),
    )
    return {
        **vars(gpu),
        "status": "held" if holder else "unavailable" if reason else "free",
        "reason": None if holder else reason,
        "holder": holder and {"kind": holder.kind, "id": holder.holder_id, "since": holder.since},
        "quarantine": quarantined and vars(quarantined),
    }


def _readings_json(app: web.Application, gpu: Gpu, processes: Processes) -> dict[str, Any]:
    monitor = app[GPU_MONITOR]
    state = monitor.state(gpu.id)
    reading = None if state is None or state.fault is not None else state.reading
    memory_of = {} if reading is None else {each.pid: each.used_bytes for each in reading.processes}
    names = ("memory_total", "memory_used", "utilization", "temperature")
    return {
        **{name: None if reading is None else getattr(reading, name) for name in names},
        "processes": [
            {
                "pid": pid,
                "user": found and found.user,
                "memory_used": memory_of.get(pid),
                "job_id": None if found is None or not found.owner else found.owner.job_id,
            }
            for pid, found in processes.items()
        ],
        "history": _history_json(monitor.history(gpu.id)),
    }


def _history_json(points: Sequence[Point]) -> dict[str, Any]:
    return {
        "interval_s": INTERVAL_SECONDS,
        "memory_used": [point.memory_used for point in points],
        "utilization": [point.utilization for point in points],
    }
