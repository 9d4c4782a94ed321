"""Tasks by the path of their file.

lmms-eval reads such a file, and then says all the same that there is no task of that name. Here
the file is made known under the name that it has in it, as those of ``--include_path`` are.
"""

from typing import Any


def make_known() -> None:
    """Have lmms-eval take the absolute path of a task file as the name of its task.

    Raises ImportError or AttributeError if this lmms-eval looks for tasks in another way.
    """
    from lmms_eval.tasks import TaskManager  # type: ignore[import-not-found]

    match = TaskManager.match_tasks

    def match_tasks(self: Any, task_list: list[str]) -> Any:
        # In the caller's own list, which it goes through again for names that were not found.
        task_list[:] = [_known(self, name) if name.startswith("/") else name for name in task_list]
        return match(self, task_list)

    TaskManager.match_tasks = match_tasks


def _known(manager: Any, path: str) -> str:
    """The name of the task in a file, which the manager knows from now on."""
    from lmms_eval import utils  # type: ignore[import-not-found]

    config = utils.load_yaml_config(path, mode="simple")
    kind, name = "task", config["task"]
    if "class" in config:
        kind = "python_task"
    elif isinstance(name, list):
        kind, name = "group", config["group"]
    entry = {"type": kind, "yaml_path": path}
    manager._task_index[name] = {**entry, "task": -1} if kind == "group" else entry
    manager._all_tasks = sorted(manager._task_index)
    return str(name)
