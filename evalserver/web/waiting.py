"""Long polling: an answer that waits until the job has changed."""

import asyncio
import re
from collections.abc import Iterable, Mapping

from aiohttp import hdrs, web

from evalserver.event_bus import Listener
from evalserver.lifecycle import FINISHED
from evalserver.web.keys import BUS, QUERY, STORE
from evalserver.web.metrics import leave_out_the_wait
from evalserver.web.schemas import LONGEST_WAIT_SECONDS

LOOK_SECONDS = 1.0
"""Between two looks whether the client is still there."""

PREFER = "Prefer"
PREFERENCE_APPLIED = "Preference-Applied"


async def wait_for_change(request: web.Request, job_id: str) -> Mapping[str, str]:
    """Wait until the job has an event that the client has not seen, as long as it asks for.

    Progress is no event. Returns at once when there is such an event already, when the client
    named none and the job has finished, and when the server stops. A HEAD request never waits.

    Returns the headers that say which preference of the client was followed (RFC 7240). Raises
    JobNotFound or JobPruned.
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
                leave_out_the_wait(request)
    return headers


def _asked_for(request: web.Request) -> tuple[float, Mapping[str, str]]:
    if request.method == hdrs.METH_HEAD:
        return 0, {}
    if "wait" in request[QUERY]:
        return request[QUERY]["wait"], {}
    preferred = _preferred_wait(request.headers.getall(PREFER, ()))
    if preferred is None:
        return 0, {}
    # A preference that goes too far is followed as far as it can be, and the answer says so.
    seconds = min(preferred, LONGEST_WAIT_SECONDS)
    return seconds, {PREFERENCE_APPLIED: f"wait={seconds}"}


def _preferred_wait(headers: Iterable[str]) -> int | None:
    """Seconds of the first ``wait`` in ``Prefer`` headers; None if there is none to be read."""
    for preference in ",".join(headers).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            seconds = re.fullmatch(r'"?([0-9]{1,9})"?', value.strip())
            return None if seconds is None else int(seconds[1])
    return None


async def _event_after(seen: int, listener: Listener, request: web.Request, seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    until = clock() + seconds
    while listener.newest_event <= seen and not listener.closed and _is_there(request):
        left = until - clock()
        if left <= 0:
            return
        await listener.wait(min(left, LOOK_SECONDS))


def _is_there(request: web.Request) -> bool:
    # Nothing else tells a handler that its client went away.
    return request.transport is not None and not request.transport.is_closing()
