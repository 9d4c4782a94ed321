"""Logging a fault once, however often it comes back."""

import logging


class FaultLog:
    """Logs when something begins to fail, when it fails for another reason, and when it works
    again; not each time."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._reasons: dict[str, str] = {}

    def failed(self, operation: str, reason: str, text: str) -> None:
        """Log the text unless the operation failed for the same reason the last time."""
        if self._reasons.get(operation) != reason:
            self._logger.warning("%s", text)
        self._reasons[operation] = reason

    def worked(self, operation: str) -> None:
        """Log that the operation works again, if it had failed."""
        if self._reasons.pop(operation, None) is not None:
            self._logger.info("%s: it works again", operation)
