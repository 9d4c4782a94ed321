"""What the stand-in answers when it is asked for its tasks."""


class TaskManager:
    """Knows two tasks."""

    def __init__(self, verbosity: str, include_path: str | None = None) -> None:
        self.all_tasks = ["mme", "ai2d"]
