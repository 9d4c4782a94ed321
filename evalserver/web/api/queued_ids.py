"""The order of the queue as JSON."""

import orjson

from evalserver.scheduling.queue_index import QueueIndex
from evalserver.web.http.responses import dump


class QueuedIds:
    """The ids of the queued jobs as JSON, made again only when the queue has changed."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._json = b""

    def json(self, queue: QueueIndex, most: int | None) -> orjson.Fragment:
        """Return the ids in order, or the first ``most`` of them."""
        if most is not None:
            return orjson.Fragment(dump(queue.job_ids(most)))
        if self._version != queue.version:
            self._version, self._json = queue.version, dump(queue.job_ids())
        return orjson.Fragment(self._json)
