"""Tasks by the path of their file.

lmms-eval and lm-eval before 0.4.9.2 read such a file, and then say all the same that there is no
task of that name. Here the file is made known under the name that it has in it, as those of
``--include_path`` are.
"""

from importlib import import_module
from typing import Any


def make_known(package: str) -> None:
    """Have a harness of this name take the absolute path of a task file as the name of its task.

    Raises ImportError or AttributeError if this version looks for tasks in another way.
    """
    manager = import_module(f"{package}.tasks").TaskManager
    load = import_module(f"{package}.utils").load_yaml_config
    match = manager.match_tasks

    def match_tasks(self: Any, task_list: Any) -> Any:
        if isinstance(task_list, list):
            # In the caller's own list, which it goes through again for names that were not found.
            task_list[:] = [
                _known(self, load(name, mode="simple"), name) if name.startswith("/") else name
                for name in task_list
            ]
        return match(self, task_list)

    manager.match_tasks = match_tasks


def _known(manager: Any, config: Any, path: str) -> str:
    """The name of the task in a file, which the manager knows from now on."""
    kind, name = "task", config["task"]
    if "class" in config:
        kind = "python_task"
    elif isinstance(name, list):
        kind, name = "group", config["group"]
    entry = {"type": kind, "yaml_path": path}
    manager._task_index[name] = {**entry, "task": -1} if kind == "group" else entry
    manager._all_tasks = sorted(manager._task_index)
    return str(name)
