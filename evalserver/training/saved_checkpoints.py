"""Which checkpoints Lightning's ``ModelCheckpoint`` callbacks have saved since the last look."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


class SavedCheckpoints:
    """Finds each checkpoint once, and one for each step.

    Looked at before each batch, a new checkpoint is one of the present step.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._unwritten: dict[str, int] = {}
        self._newest_step: int | None = None
        self._last_written: dict[str, int] = {}

    def ignore(self, callbacks: Iterable[Any]) -> None:
        """Leave out what a resumed run knows from before."""
        for callback in callbacks:
            self._known.update(_names(callback))
            self._is_rewritten(_last(callback))

    def find_new(self, callbacks: Iterable[Any], step: int) -> Iterator[tuple[Path, int]]:
        """Yield the paths of new checkpoints with their steps."""
        callbacks = list(callbacks)
        for name in {name for callback in callbacks for name in _names(callback)} - self._known:
            self._known.add(name)
            self._unwritten[name] = step
        # One that is written in the background comes into being later.
        for name in [name for name in self._unwritten if Path(name).exists()]:
            yield from self._new(name, self._unwritten.pop(name))
        for callback in callbacks:
            if self._is_rewritten(_last(callback)):
                yield from self._new(_last(callback), step)

    def _new(self, name: str, step: int) -> Iterator[tuple[Path, int]]:
        if step != self._newest_step:
            self._newest_step = step
            yield Path(name), step

    def _is_rewritten(self, name: str) -> bool:
        if not name:
            return False
        with suppress(OSError):
            written = Path(name).stat().st_mtime_ns
            if self._last_written.get(name) != written:
                self._last_written[name] = written
                return True
        return False


def _names(callback: Any) -> set[str]:
    """Return the paths of a callback's checkpoints, without that of the last, used again."""
    names = {getattr(callback, "best_model_path", ""), *getattr(callback, "best_k_models", ())}
    return {str(name) for name in names} - {"", _last(callback)}


def _last(callback: Any) -> str:
    return str(getattr(callback, "last_model_path", ""))
