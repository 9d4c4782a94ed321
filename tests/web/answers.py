"""A complete response of the server, for tests that look at more than its JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support import Api, Json


@dataclass(frozen=True)
class Response:
    """A response: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """Parse the body as JSON."""
        value: Json = orjson.loads(self.body)
        return value


async def fetch(api: Api, method: str, path: Any, **kwargs: Any) -> Response:
    """Send a request and read the complete response."""
    async with api._session.request(method, f"{api._base}{path}", **kwargs) as response:
        return Response(response.status, response.headers, await response.read())
