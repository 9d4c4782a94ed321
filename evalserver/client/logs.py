"""Reading the log of a job, across broken connections and restarts of the server."""

import codecs
import io
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from evalserver.client.errors import Json, ServerUnreachable
from evalserver.client.evaluations import EvaluationCalls, job_path
from evalserver.client.sending import Call
from evalserver.core.plain_text import PlainText

OFFSET_HEADER = "Log-Offset"
"""The header with the byte of the attempt's log at which a response begins."""

MAX_WAIT_SECONDS = 60.0
READ_TIMEOUT_SECONDS = 60.0
"""A harness may print nothing for hours: after this long, the rest of its log is requested
again."""

MAX_LINE_LENGTH = 64 * 1024
"""In characters; a longer line is yielded in parts."""

LINE_END = re.compile(r"\r\n|\r|\n")

FINISHED = ("completed", "failed", "cancelled")


class LogCalls(EvaluationCalls):
    """Calls that read logs."""

    async def logs(
        self,
        job_id: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        plain: bool = False,
        attempt: int | None = None,
    ) -> AsyncGenerator[str, None]:
        """Yield the lines of the job's log with their line ends, as a file does.

        They are those of the latest attempt, or of ``attempt``; all, or the last ``tail`` lines.
        ``follow`` yields new lines as they are printed until the job has finished, with those of
        further attempts after those of earlier ones. Each state of a progress bar is a line that
        ends with a carriage return; ``plain`` yields its last state only, and removes colours.

        Raises NotFound, or Pruned when the log was removed.

        >>> for line in client.logs(job_id):
        ...     print(line, end="")
        stand-in runs as dummy
        """
        lines = _LineSplitter(plain=plain)
        async with aclosing(self._read_attempts(job_id, tail, attempt, follow=follow)) as pieces:
            async for piece in pieces:
                for line in lines.feed(piece):
                    yield line
        for line in lines.rest():
            yield line

    async def _read_attempts(
        self, job_id: str, tail: int | None, attempt: int | None, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        job = await self.get_job(job_id)
        number = attempt or job["attempt"]
        while True:
            if number > 0:
                log = self._read_log(job_id, number, tail, follow=follow)
                async with aclosing(log) as pieces:
                    async for piece in pieces:
                        yield piece
                tail = None
            if attempt is not None or not follow:
                return
            job = await self._wait_for_next_attempt(job_id, number)
            if job["attempt"] == number:
                return
            number += 1

    async def _read_log(
        self, job_id: str, attempt: int, tail: int | None, *, follow: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield the log of an attempt, and with ``follow`` what is added to it."""
        transport = self._sender.transport
        offset: int | None = None
        breaks = 0
        while True:
            # Asked before the log is read, so that everything printed by then is read. A server
            # that stops also ends its responses, while the attempt goes on.
            has_ended = not (follow and await self._is_running(job_id, attempt))
            query = {
                "attempt": attempt,
                "follow": follow or None,
                "tail": tail if offset is None else None,
                "offset": offset,
            }
            response = await self._sender.open(
                Call(
                    "GET",
                    f"{job_path(job_id)}/log",
                    query,
                    headers={"Accept-Encoding": "identity"},
                    server_wait_s=READ_TIMEOUT_SECONDS,
                )
            )
            start = offset = int(response.headers[OFFSET_HEADER])
            is_complete = False
            try:
                async with aclosing(transport.pieces(response)) as pieces:
                    async for piece in pieces:
                        offset += len(piece)
                        yield piece
                is_complete = True
            except ServerUnreachable:
                pass  # what was received so far counts; the rest is requested below
            finally:
                await transport.end(response)
            if is_complete and has_ended:
                return
            breaks = breaks + 1 if offset == start else 0
            if breaks or not is_complete:
                await self._sender.pause(breaks)

    async def _is_running(self, job_id: str, attempt: int) -> bool:
        """Return whether the attempt is still running."""
        job = await self.get_job(job_id)
        return bool(job["status"] == "running" and job["attempt"] == attempt)

    async def _wait_for_next_attempt(self, job_id: str, attempt: int) -> Json:
        """Return the job once it has finished or started another attempt."""
        job = await self.get_job(job_id)
        early = 0
        while job["attempt"] == attempt and job["status"] not in FINISHED:
            seen = job["event_id"]
            job = await self.get_job(job_id, wait_s=MAX_WAIT_SECONDS, since=seen)
            if job["event_id"] == seen:
                await self._sender.pause(early)
                early += 1
        return job


class _LineSplitter:
    """Splits a stream of bytes into lines."""

    def __init__(self, *, plain: bool) -> None:
        self._plain = PlainText() if plain else None
        # It also recognizes "\r\n" that is cut between two pieces.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=False)
        self._partial = ""

    def feed(self, piece: bytes) -> Iterator[str]:
        """Return the lines that this piece completes."""
        shown = piece if self._plain is None else self._plain.feed(piece)
        return self._split(self._decoder.decode(shown))

    def rest(self) -> Iterator[str]:
        """Return what is left at the end of the stream."""
        shown = b"" if self._plain is None else self._plain.rest()
        yield from self._split(self._decoder.decode(shown, final=True))
        if self._partial:
            yield self._partial

    def _split(self, text: str) -> Iterator[str]:
        text = self._partial + text
        start = 0
        for end in LINE_END.finditer(text):
            yield text[start : end.end()]
            start = end.end()
        self._partial = text[start:]
        if len(self._partial) > MAX_LINE_LENGTH:
            yield self._partial
            self._partial = ""
