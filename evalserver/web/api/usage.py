"""``GET /usage``: what attempts used, summed by job, token, series, model or month."""

from typing import Any

from aiohttp import web

from evalserver.core.masking import mask_text
from evalserver.store import Period, Usage, UsageBy
from evalserver.web.http.responses import json_response
from evalserver.web.keys import QUERY, STORE

DIGITS = 3
"""Of seconds, like the times of the store."""


async def get_usage(request: web.Request) -> web.Response:
    """``GET /usage``: GPU-seconds by job, token, series, model or month.

    An attempt that has ended counts from its claim to its end, in the month of its end, with the
    GPUs that it held; where the server managed none, with the request's `num_gpus`. Attempts that
    ended before the server was upgraded to a version with this route are not counted.
    """
    query = request[QUERY]
    by, period = UsageBy(query["by"]), Period(query.get("since"), query.get("until"))
    found = await request.app[STORE].usage.summary(by, period, query["limit"])
    return json_response(
        {
            "by": by,
            **vars(period),
            "rows": [{"name": _public(row.name), **_sums(row)} for row in found.rows],
            "groups": found.groups,
            "total": _sums(found.total),
        }
    )


def _public(name: str | None) -> str | None:
    """A model's name may contain a secret; other readers of jobs do not see it either."""
    return None if name is None else mask_text(name)


def _sums(usage: Usage) -> dict[str, Any]:
    return {
        "attempts": usage.attempts,
        "seconds": round(usage.seconds, DIGITS),
        "gpu_seconds": round(usage.gpu_seconds, DIGITS),
    }
