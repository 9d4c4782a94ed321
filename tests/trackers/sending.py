"""Following a server in a thread of the test, to the end of what has finished."""

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from evalserver.client import EvalClient
from evalserver.trackers import Feed, Filters, Follower, Place, Start, open_destination, open_state


@dataclass
class Sending:
    """Sends the finished jobs of a server to a file of JSON lines."""

    url: str
    state: Path
    file: Path
    warnings: list[str] = field(default_factory=list)

    async def once(
        self,
        start: Start = Start.RESUME,
        filters: Filters | None = None,
        link_url: str | None = None,
    ) -> int:
        """Send what has finished; returns how many records."""
        return await asyncio.to_thread(self._send, start, filters or Filters(), link_url)

    def _send(self, start: Start, filters: Filters, link_url: str | None) -> int:
        place = Place(file=self.file)
        with (
            EvalClient(self.url) as client,
            open_state(self.state, self.url, "jsonl", str(self.file), filters.words()) as state,
            closing(open_destination("jsonl", place, state.directory)) as destination,
        ):
            feed = Feed(client, link_url or self.url)
            follower = Follower(feed, destination, state, filters, warn=self.warnings.append)
            follower.send_once(start)
            return follower.sent
