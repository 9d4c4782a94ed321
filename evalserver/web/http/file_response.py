"""Sending a file that is open."""

from typing import BinaryIO

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from evalserver.web.security.revocation import while_authorized


class OpenFileResponse(web.FileResponse):
    """Sends a file that was opened already: what its path leads to by now does not matter."""

    def __init__(self, request: web.Request, file: BinaryIO, headers: dict[str, str]) -> None:
        super().__init__(f"/proc/self/fd/{file.fileno()}", headers=headers)
        self._request = request
        self._file = file

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it all, for as long as the reader may have it."""
        with self._file:
            return await while_authorized(self._request, super().prepare(request))
