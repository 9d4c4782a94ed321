"""Sending the numbers of finished jobs to experiment trackers, by a process of its own.

It knows the server through the client only. ``feed.py`` reads which jobs have finished,
``records.py`` makes of each what is sent, a ``Destination`` takes it, ``state.py`` keeps how far
that came, and ``follower.py`` puts these together.
"""

from evalserver.trackers.destination import Destination, Rejected, Unreachable
from evalserver.trackers.feed import Feed
from evalserver.trackers.filters import Filters
from evalserver.trackers.follower import Follower, Start, Stopped
from evalserver.trackers.open import DESTINATIONS, MissingPackage, Place, open_destination
from evalserver.trackers.state import DamagedState, State, StateTaken, default_state_dir, open_state

__all__ = [
    "DESTINATIONS",
    "DamagedState",
    "Destination",
    "Feed",
    "Filters",
    "Follower",
    "MissingPackage",
    "Place",
    "Rejected",
    "Start",
    "State",
    "StateTaken",
    "Stopped",
    "Unreachable",
    "default_state_dir",
    "open_destination",
    "open_state",
]
