"""The names that evalserver's launcher looks for."""


class ResponseCache:
    """Caches nothing: the stand-in calls no model."""

    def execute(self) -> None: ...

    def _log_to_audit(self) -> None: ...

    def _is_valid_response(self) -> None: ...

    def _open_local_handles(self) -> None: ...


def extract_gen_kwargs() -> None:
    """Nothing."""
