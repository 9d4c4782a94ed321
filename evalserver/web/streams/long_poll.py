"""Long polling: a response that waits until the job has changed."""

import asyncio
import re
from collections.abc import Mapping

from aiohttp import hdrs, web

from evalserver.core.lifecycle import FINISHED
from evalserver.monitoring.event_bus import Listener
from evalserver.web.api.metrics import exclude_wait_from_latency
from evalserver.web.http.responses import is_connected
from evalserver.web.keys import BUS, QUERY, STORE
from evalserver.web.schemas.queries import MAX_WAIT_SECONDS
from evalserver.web.security.authorization import is_still_authorized, require_still_authorized

CONNECTION_CHECK_SECONDS = 1.0
"""Between two checks whether the client is still connected."""

PREFER = "Prefer"
PREFERENCE_APPLIED = "Preference-Applied"


async def wait_for_change(request: web.Request, job_id: str) -> Mapping[str, str]:
    """Wait until the job has an event that the client does not know, up to the requested time.

    Progress is not an event. Returns at once if there is such an event, if the client named no
    event and the job has finished, and when the server stops. A HEAD request never waits.

    Returns the headers that say which preference was applied (RFC 7240). Raises JobNotFound or
    JobPruned, and BadRequest (401) if the client's token was revoked meanwhile.
    """
    seconds, headers = _requested_wait(request)
    if seconds > 0:
        with request.app[BUS].listening(job_id) as listener:
            job = await request.app[STORE].queries.job(job_id)
            seen = request[QUERY].get("since")
            # A finished job changes only if it is retried or pruned. A client that waits for that
            # names the event that it knows.
            if seen is None and job.status not in FINISHED:
                seen = job.event_id
            if seen is not None and job.event_id <= seen:
                await _event_after(seen, listener, request, seconds)
                require_still_authorized(request)
                exclude_wait_from_latency(request)
    return headers


def _requested_wait(request: web.Request) -> tuple[float, Mapping[str, str]]:
    if request.method == hdrs.METH_HEAD:
        return 0, {}
    if "wait" in request[QUERY]:
        return request[QUERY]["wait"], {}
    if PREFER not in request.headers:
        return 0, {}
    preferred = re.fullmatch(r'"?([0-9]{1,9})"?', preferences(request).get("wait", ""))
    if preferred is None:
        return 0, {}
    # A preference beyond the limit is applied up to the limit, and the response says so.
    seconds = min(int(preferred[1]), MAX_WAIT_SECONDS)
    return seconds, {PREFERENCE_APPLIED: f"wait={seconds}"}


def preferences(request: web.Request) -> Mapping[str, str]:
    """The client's preferences (RFC 7240) by name; the first one of each name."""
    found: dict[str, str] = {}
    for preference in ",".join(request.headers.getall(PREFER, ())).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def is_waiting(request: web.Request) -> bool:
    """Whether the client is still connected and authorized."""
    return is_connected(request) and is_still_authorized(request)


async def _event_after(seen: int, listener: Listener, request: web.Request, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while listener.newest_event_id <= seen and not listener.closed and is_waiting(request):
        left = until - clock()
        if left <= 0:
            return
        await listener.wait(min(left, CONNECTION_CHECK_SECONDS))
