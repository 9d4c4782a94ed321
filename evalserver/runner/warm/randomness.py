"""Random numbers after a fork: unpredictable where a new process has them so, and as seeded where
the imports of the harness have seeded them.

A library that names its files by random numbers would otherwise take those of an earlier
evaluation for its own: all forks of a parent would have the same numbers.
"""

from __future__ import annotations

import random
import sys
import weakref
from typing import Any


class Randomness:
    """The generators of ``random`` and the one of numpy. Make it before the imports, call
    ``imported`` after them, and ``renew`` in each process that was forked."""

    def __init__(self) -> None:
        self._own: Any = random._inst
        self._unseeded: weakref.WeakSet[random.Random] = weakref.WeakSet([self._own])
        self._state: Any = None
        self._is_numpy_seeded = False
        self._seed = random.Random.seed
        random.Random.seed = self._recording_seed()  # type: ignore[method-assign]
        random.seed = self._own.seed

    def imported(self) -> None:
        """Remember what the imports have seeded."""
        random.Random.seed = self._seed  # type: ignore[method-assign]
        random.seed = self._own.seed
        if self._own not in self._unseeded:
            self._state = random.getstate()
        numpy_random: Any = sys.modules.get("numpy.random")
        if numpy_random is not None:
            self._is_numpy_seeded = _was_seeded(numpy_random)

    def renew(self) -> None:
        """Give this process numbers of its own, where nothing was seeded."""
        for generator in list(self._unseeded):
            self._seed(generator)
        if self._state is not None:
            # Python itself seeds it at each fork.
            random.setstate(self._state)
        numpy_random: Any = sys.modules.get("numpy.random")
        if numpy_random is not None and not self._is_numpy_seeded:
            numpy_random.seed()

    def _recording_seed(self) -> Any:
        original, unseeded = self._seed, self._unseeded

        def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
            original(self, a, version)
            (unseeded.add if a is None else unseeded.discard)(self)

        return seed


def _was_seeded(numpy_random: Any) -> bool:
    """Return whether a seed was given to numpy's generator: it has no random one then."""
    try:
        return numpy_random.mtrand._rand._bit_generator.seed_seq is None
    except AttributeError:  # numpy below 1.25
        return False
