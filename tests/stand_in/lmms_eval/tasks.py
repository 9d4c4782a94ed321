"""The tasks that the stand-in lists."""


class TaskManager:
    """Knows two tasks."""

    def __init__(self, verbosity: str, include_path: str | None = None) -> None:
        self.all_tasks = ["mme", "ai2d"]
