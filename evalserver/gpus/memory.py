"""Memory in use on a GPU that nobody holds: released late, stuck, or of nobody that is visible."""

from dataclasses import dataclass

from evalserver.gpus.monitor import GpuState

GIB = 1024**3
RELEASE_SECONDS = 30.0
"""How long memory may stay in use after an attempt before its GPU is quarantined."""


@dataclass(frozen=True)
class Release:
    """The end of the attempt that held a GPU, at ``at`` (``time.monotonic()``)."""

    at: float
    job_id: str


@dataclass(frozen=True)
class MemoryLimits:
    """How many bytes may be in use on a free GPU, and for how many seconds more after a job."""

    idle_bytes: int = GIB
    release_s: float = RELEASE_SECONDS

    def reason(self, state: GpuState, release: Release | None) -> str | None:
        """Return why a GPU must not be used for the memory in use on it, as the rest of a sentence;
        None if it may be used."""
        if not self._is_in_use(state):
            return None
        if release is not None:
            return "has not released its memory yet"
        return f"has {_gib(state)} in use by no process that is visible to the server"

    def quarantine_reason(self, state: GpuState, release: Release | None, now: float) -> str | None:
        """Return why a GPU is to be quarantined; None if it is not."""
        if release is None or state.fault is not None or now - release.at <= self.release_s:
            return None
        if state.at < release.at or state.reading is None or state.reading.processes:
            return None
        if not self._is_in_use(state):
            return None
        return f"{_gib(state)} stayed in use after job {release.job_id} had ended"

    def is_over(self, state: GpuState, release: Release) -> bool:
        """Return whether the memory was seen to be released after the end of the attempt."""
        is_newer = state.fault is None and state.at > release.at
        return is_newer and state.reading is not None and not self._is_in_use(state)

    def _is_in_use(self, state: GpuState) -> bool:
        return state.reading is not None and state.reading.memory_used > self.idle_bytes


def _gib(state: GpuState) -> str:
    used = 0 if state.reading is None else state.reading.memory_used
    return f"{used / GIB:.1f} GiB"
