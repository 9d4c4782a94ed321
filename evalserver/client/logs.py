"""Reading what a job's harness prints, across cut connections and restarts of the server."""

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
"""The byte of the attempt's log at which an answer begins."""

MAX_WAIT_SECONDS = 60.0
READ_TIMEOUT_SECONDS = 60.0
"""A harness may print nothing for hours: after so long, the rest of its log is asked for anew."""

MAX_LINE_LENGTH = 64 * 1024
"""Characters; a longer line is given in parts."""

LINE_END = re.compile(r"\r\n|\r|\n")

FINISHED = ("completed", "failed", "cancelled")


class LogCalls(EvaluationCalls):
    """Logs."""

    async def logs(
        self,
        job_id: str,
        *,
        tail: int | None = None,
        follow: bool = False,
        plain: bool = False,
        attempt: int | None = None,
    ) -> AsyncGenerator[str, None]:
        """The lines of the job's log with their ends, as a file gives them.

        Of the latest attempt, or of ``attempt``; from the beginning, or the last ``tail`` lines.
        With ``follow`` they come as they are printed, until the job has finished, and a further
        attempt's behind those of the one before. A progress bar that is redrawn is a line each
        time, which ends with a carriage return; with ``plain`` only its last state comes, and no
        colours.

        Raises NotFound, Pruned when the log was removed.

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
        """What the log of an attempt holds, and when it is followed, gets."""
        transport = self._sender.transport
        offset: int | None = None
        breaks = 0
        while True:
            # Known before the log is read: so all that was printed by then is read. A server that
            # stops ends what it sends, too, and the attempt goes on.
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
                pass  # what it said so far counts, and it is asked for the rest
            finally:
                await transport.end(response)
            if is_complete and has_ended:
                return
            breaks = breaks + 1 if offset == start else 0
            if breaks or not is_complete:
                await self._sender.pause(breaks)

    async def _is_running(self, job_id: str, attempt: int) -> bool:
        """Whether the attempt still does."""
        job = await self.get_job(job_id)
        return bool(job["status"] == "running" and job["attempt"] == attempt)

    async def _wait_for_next_attempt(self, job_id: str, attempt: int) -> Json:
        """The job, once it has finished or begun a further attempt."""
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
    """Makes lines of bytes that come in pieces."""

    def __init__(self, *, plain: bool) -> None:
        self._plain = PlainText() if plain else None
        # It knows a newline that follows a carriage return only in the next piece.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=False)
        self._partial = ""

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that ended with this piece."""
        shown = piece if self._plain is None else self._plain.feed(piece)
        return self._split(self._decoder.decode(shown))

    def rest(self) -> Iterator[str]:
        """What is left when nothing comes any more."""
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
