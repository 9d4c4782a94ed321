"""The ``Range`` header: one part of a body, in bytes (RFC 9110, section 14)."""

import re
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import hdrs, web

from evalserver.web.http.errors import BadRequest

_ONE_RANGE = re.compile(r"bytes=(?P<first>[0-9]{0,18})-(?P<last>[0-9]{0,18})")


@dataclass(frozen=True)
class ByteRange:
    """The part of a body of ``size`` bytes from ``start`` to before ``end``."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of the header ``Content-Range``."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def byte_range(request: web.Request, size: int) -> ByteRange | None:
    """The requested range of a body of ``size`` bytes; None if the whole body is requested.

    Multiple ranges, other units and invalid ranges are answered with the whole body, as the RFC
    allows; so is ``If-Range``, since there is no validator that it could name. Raises BadRequest
    (416) if the range is empty.
    """
    asked = _ONE_RANGE.fullmatch(request.headers.get(hdrs.RANGE, "").strip())
    if request.method != hdrs.METH_GET or asked is None or hdrs.IF_RANGE in request.headers:
        return None
    first, last = asked["first"], asked["last"]
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise BadRequest(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"The range {asked[0]} is empty: there are {size} bytes so far",
            headers={hdrs.CONTENT_RANGE: f"bytes */{size}"},
        )
    return ByteRange(start, end, size)
