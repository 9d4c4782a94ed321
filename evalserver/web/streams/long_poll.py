"""Long polling: an answer that waits until the job has changed."""

import asyncio
import re
from collections.abc import Mapping

from aiohttp import hdrs, web

from evalserver.core.lifecycle import FINISHED
from evalserver.monitoring.event_bus import Listener
from evalserver.web.api.metrics import leave_out_the_wait
from evalserver.web.http.responses import is_connected
from evalserver.web.keys import BUS, QUERY, STORE
from evalserver.web.schemas.queries import LONGEST_WAIT_SECONDS
from evalserver.web.security.authorization import is_still_authorized, require_still_authorized

LOOK_SECONDS = 1.0
"""Between two looks whether the client is still there."""

PREFER = "Prefer"
PREFERENCE_APPLIED = "Preference-Applied"


async def wait_for_change(request: web.Request, job_id: str) -> Mapping[str, str]:
    """Wait until the job has an event that the client has not seen, as long as it asks for.

    Progress is no event. Returns at once when there is such an event already, when the client
    named none and the job has finished, and when the server stops. A HEAD request never waits.

    Returns the headers that say which preference of the client was followed (RFC 7240). Raises
    JobNotFound or JobPruned, and BadRequest (401) when the client's token was revoked meanwhile.
    """
    seconds, headers = _asked_for(request)
    if seconds > 0:
        with request.app[BUS].listening(job_id) as listener:
            job = await request.app[STORE].job(job_id)
            seen = request[QUERY].get("since")
            # A finished job changes only if it is tried again or pruned: who waits for that knows
            # that it has finished, and says so.
            if seen is None and job.status not in FINISHED:
                seen = job.event_id
            if seen is not None and job.event_id <= seen:
                await _event_after(seen, listener, request, seconds)
                require_still_authorized(request)
                leave_out_the_wait(request)
    return headers


def _asked_for(request: web.Request) -> tuple[float, Mapping[str, str]]:
    if request.method == hdrs.METH_HEAD:
        return 0, {}
    if "wait" in request[QUERY]:
        return request[QUERY]["wait"], {}
    preferred = re.fullmatch(r'"?([0-9]{1,9})"?', preferences(request).get("wait", ""))
    if preferred is None:
        return 0, {}
    # A preference that goes too far is followed as far as it can be, and the answer says so.
    seconds = min(int(preferred[1]), LONGEST_WAIT_SECONDS)
    return seconds, {PREFERENCE_APPLIED: f"wait={seconds}"}


def preferences(request: web.Request) -> Mapping[str, str]:
    """What the client prefers (RFC 7240), by name; of several of one name, the first."""
    found: dict[str, str] = {}
    for preference in ",".join(request.headers.getall(PREFER, ())).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def is_there(request: web.Request) -> bool:
    """Is there still a client that may have the answer?"""
    return is_connected(request) and is_still_authorized(request)


async def _event_after(seen: int, listener: Listener, request: web.Request, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while listener.newest_event <= seen and not listener.closed and is_there(request):
        left = until - clock()
        if left <= 0:
            return
        await listener.wait(min(left, LOOK_SECONDS))
