"""A reader of server-sent events, by the rules of the HTML standard, as far as tests need them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

WAIT_SECONDS = 120.0
"""How long a test waits for the next message: a limit, never an expectation."""


@dataclass(frozen=True)
class Message:
    """One message: its kind, its data, and the id that it set, if any."""

    kind: str
    data: dict[str, Any]
    event_id: int | None = None


class EventReader:
    """Reads one answer."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.last_event_id: int | None = None
        """What an EventSource would name when it came back."""
        self.retry_ms: int | None = None
        self.comments: list[str] = []
        """Every comment so far."""

    async def next(self) -> Message:
        """The next message. Raises EOFError behind the last one."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (message := await self._block()) is None:
                pass
            return message

    async def until(self, condition: Callable[[Message], bool]) -> Message:
        """The next message of which this is true."""
        while not condition(message := await self.next()):
            pass
        return message

    async def rest(self) -> list[Message]:
        """All messages until the stream ends."""
        messages = []
        try:
            while True:
                messages.append(await self.next())
        except EOFError:
            return messages

    async def comment(self) -> str:
        """The next comment; messages before it are passed over."""
        known = len(self.comments)
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.comments) == known:
                await self._block()
        return self.comments[-1]

    async def opened(self) -> None:
        """Wait for the opening lines."""
        async with asyncio.timeout(WAIT_SECONDS):
            while self.retry_ms is None:
                assert await self._block() is None

    async def _block(self) -> Message | None:
        """The lines up to the next empty one; None if they are no message."""
        fields: dict[str, str] = {}
        while line := (await self._line()):
            name, _, value = line.partition(":")
            if name == "":
                self.comments.append(value.strip())
            fields[name] = value.removeprefix(" ")
        if "id" in fields:
            self.last_event_id = int(fields["id"])
        if "retry" in fields:
            self.retry_ms = int(fields["retry"])
        if "data" not in fields:
            return None
        event_id = int(fields["id"]) if "id" in fields else None
        return Message(fields["event"], json.loads(fields["data"]), event_id)

    async def _line(self) -> str:
        line = await self.answer.content.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\n")


def story(messages: list[Message]) -> list[str]:
    """What the messages tell, in short: the event of a status, else the kind."""
    return [each.data["event"] if each.kind == "status" else each.kind for each in messages]
