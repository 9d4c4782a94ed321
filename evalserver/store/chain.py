"""The hash chain of the audit log: each event carries the hash of the previous one."""

from collections.abc import Mapping
from typing import Any

from evalserver.store.events import GENESIS_HASH, event_hash


class Chain:
    """Follows events by number and hash: each must continue the previous one."""

    def __init__(self, last_id: int = 0, last_hash: str = GENESIS_HASH) -> None:
        self.last_id = last_id
        self.last_hash = last_hash

    def follow(self, event: Mapping[str, Any]) -> str | None:
        """Advance to the next event. Returns why it does not continue the last one, or None."""
        if event["prev_hash"] != self.last_hash:
            return "its prev_hash is not the hash of the event before it"
        if event["hash"] != _hash(event):
            return "its hash does not match its content"
        self.last_id, self.last_hash = event["event_id"], event["hash"]
        return None


def _hash(event: Mapping[str, Any]) -> str | None:
    try:
        return event_hash(event)
    except TypeError:  # a blob where evalserver only ever writes text
        return None
