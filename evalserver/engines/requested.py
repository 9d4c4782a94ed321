"""Finding the requested tasks of which a harness's results files say nothing.

A request names tasks, groups of tasks, tags or wildcards. A results file of the lm-eval family
names tasks under ``results``, the members of groups under ``group_subtasks``, and each task's tags
under ``configs.<task>.tag``.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalserver.system.untrusted_files import UnreadableFile, read_named_file

Content = Mapping[str, Any]
"""The content of a results file."""

MAX_TASK_FILE_BYTES = 1024 * 1024


def find_missing(
    tasks: Sequence[str], contents: Sequence[Content], spoken_of: Collection[str]
) -> list[str]:
    """Return the requested tasks of which the harness says nothing, sorted."""
    return sorted(set(_iterate_missing(tasks, contents, spoken_of)))


def read_task_name(path: Path) -> str:
    """Return the name of the task or group in a task file, under which its metrics are found."""
    try:
        text = read_named_file(path, MAX_TASK_FILE_BYTES).decode()
    except (UnreadableFile, UnicodeDecodeError):
        return path.stem
    found = re.search(r"""^(?:task|group):[ \t]*["']?([^\s"'#\[]+)""", text, re.MULTILINE)
    return path.stem if found is None else found[1]


def _iterate_missing(
    tasks: Sequence[str], contents: Sequence[Content], spoken_of: Collection[str]
) -> Iterator[str]:
    for name in tasks:
        called = read_task_name(Path(name)) if name.startswith("/") else name
        asked_for = [task for content in contents for task in _resolve_name(called, content)]
        if not asked_for:
            yield name
        yield from (task for task in asked_for if task not in spoken_of)


def _resolve_name(name: str, content: Content) -> list[str]:
    """Return the tasks of a results file that a name in the request stands for."""
    groups = _mapping(content, "group_subtasks")
    named = {*_mapping(content, "results"), *groups}
    found = [each for each in named if fnmatchcase(each, name)]
    found = found or [
        task for task, config in _mapping(content, "configs").items() if name in _tags(config)
    ]
    return [task for each in found for task in _expand_group(each, groups)]


def _expand_group(name: str, groups: Mapping[str, Any]) -> list[str]:
    """Return the tasks of a group, at any depth; a task is its own only member."""
    # Each is visited once: groups may contain each other.
    found, seen, waiting = [], {name}, [name]
    while waiting:
        each = waiting.pop()
        below = [member for member in _names(groups.get(each)) if member != each]
        if not below:
            found.append(each)
        waiting += [member for member in dict.fromkeys(below) if member not in seen]
        seen.update(below)
    return found


def _tags(config: object) -> list[str]:
    tags = config.get("tag") if isinstance(config, Mapping) else None
    return [tags] if isinstance(tags, str) else _names(tags)


def _names(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _mapping(content: Content, key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}
