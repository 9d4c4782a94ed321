"""What takes the records: the interface of the destinations, and their errors."""

from typing import Protocol

from evalserver.trackers.records import Record


class Unreachable(Exception):
    """The destination cannot take records at the moment; says why. They are sent again later."""


class Rejected(Exception):
    """The destination will not take this record, or none at all, until somebody changes something;
    says why."""


class Destination(Protocol):
    """Takes records, each with a key that no other has.

    A record may come again, after a crash or when the follower starts from the beginning: the
    destination has it once all the same.
    """

    def send(self, record: Record) -> None:
        """Take a record; only ``flush`` makes sure of it. Raises Unreachable, Rejected, OSError."""

    def flush(self) -> None:
        """Return when everything that was sent will survive a crash. Raises as ``send`` does."""

    def close(self) -> None:
        """Close connections and files."""
