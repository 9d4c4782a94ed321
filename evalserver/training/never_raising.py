"""Hooks that a training framework calls, and that must not stop it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from evalserver.training.fault_log import FaultLog


class HasFaults(Protocol):
    """What has such hooks."""

    faults: FaultLog


def never_raising(hook: Callable[..., None]) -> Callable[..., None]:
    """Return the hook without its exceptions: each is logged once."""

    @wraps(hook)
    def quiet(self: HasFaults, *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except Exception as error:
            text = f"{hook.__name__}: {error!r}; the training goes on"
            self.faults.failed(hook.__name__, repr(error), text)

    return quiet
