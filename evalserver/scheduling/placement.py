"""What the scheduler is configured with, and which of the managed GPUs can be used now."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from evalserver.attempts.retry import retry_until_writable
from evalserver.scheduling.slots import Limits
from evalserver.store import Store


@dataclass(frozen=True)
class Placement:
    """How the scheduler places jobs: the limits, whether later jobs may fill gaps, the names of
    GPUs, and which cannot be used now. ``grace_s`` is the grace after a time limit."""

    limits: Limits = field(default_factory=Limits)
    backfill: bool = False
    grace_s: float = 0.0
    gpu_ids: Mapping[str, str] = field(default_factory=dict)
    """The id of each managed GPU by every name that an older record may have for it."""
    unavailable: Callable[[], Awaitable[Mapping[str, str]]] | None = None
    """Says which managed GPUs cannot be used now, and why; None: all can be used."""

    def gpu_name(self, gpu: str) -> str:
        """Return the index of a GPU if it is known, else its id."""
        return min(
            (name for name, found in self.gpu_ids.items() if found == gpu), key=len, default=gpu
        )


DEFAULT_PLACEMENT = Placement()


class GpuAvailability:
    """Which of the managed GPUs could not be used at the last ``look``, and why."""

    def __init__(self, store: Store, placement: Placement) -> None:
        self._store = store
        self._placement = placement
        self._may_have_changed = True
        self.unavailable: Mapping[str, str] = {}
        self.quarantined: frozenset[str] = frozenset()

    @property
    def needs_look(self) -> bool:
        """Whether a GPU may have come back or become unavailable since the last look."""
        return self._may_have_changed or bool(self.unavailable) or bool(self.quarantined)

    def on_change(self) -> None:
        """Note that another look may find something else."""
        self._may_have_changed = True

    async def look(self) -> None:
        """Look which GPUs can be used now."""
        self._may_have_changed = False
        quarantines = await retry_until_writable(self._store.gpus.quarantines)
        if self._placement.unavailable is not None:
            self.unavailable = await retry_until_writable(self._placement.unavailable)
        self.quarantined = frozenset(quarantines)
