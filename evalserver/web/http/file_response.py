"""Sending an open file."""

from typing import BinaryIO

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from evalserver.web.security.revocation import while_authorized


class OpenFileResponse(web.FileResponse):
    """Sends an already opened file, whatever its path refers to by now."""

    def __init__(self, request: web.Request, file: BinaryIO, headers: dict[str, str]) -> None:
        super().__init__(f"/proc/self/fd/{file.fileno()}", headers=headers)
        self._request = request
        self._file = file

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the file while the client is authorized."""
        with self._file:
            return await while_authorized(self._request, super().prepare(request))
