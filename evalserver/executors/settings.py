"""The operator's settings of an executor: the table ``[executors.NAME]`` of the TOML file."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.core.job import LOCAL
from evalserver.core.masking import mask_text
from evalserver.core.roles import Role, parse_roles
from evalserver.core.suggestions import did_you_mean
from evalserver.core.table_names import require_table_name
from evalserver.executors.slurm.options import SlurmOptions
from evalserver.executors.slurm.script import sbatch_args_fault
from evalserver.executors.slurm.times import parse_minutes

SLURM = "slurm"
TYPES = (LOCAL, SLURM)

MAX_POLL_SECONDS = 3600
MIN_SILENCE_SECONDS = 30
"""Some heartbeats, as late as a network file system shows them."""
MAX_SILENCE_SECONDS = 24 * 3600
NUM_GPUS = "{num_gpus}"


@dataclass(frozen=True)
class ExecutorSettings:
    """The settings of one executor.

    ``name`` is its name in requests, ``roles`` are those that may use it; None for all. ``slurm``
    has the options of a Slurm cluster; None for the server's own machine. ``run_root`` is the
    directory that the table names for run directories; None: the server's data directory.
    """

    name: str
    roles: frozenset[Role] | None = None
    slurm: SlurmOptions | None = None
    run_root: Path | None = None

    def allows(self, role: Role) -> bool:
        """Whether a caller of this role may have jobs run there."""
        return self.roles is None or role in self.roles


def read_executors(
    tables: Mapping[str, Mapping[str, Any]], default_root: Path
) -> dict[str, ExecutorSettings]:
    """Parse the tables. The server's own machine always comes first, with or without a table.

    ``default_root`` is where run directories are without a ``run_root``. Raises ValueError with the
    table, the key, its value, and what is allowed.
    """
    found = {name: _read_table(name, table, default_root) for name, table in tables.items()}
    return {LOCAL: ExecutorSettings(LOCAL), **found}


def require_executor(name: str, executors: Mapping[str, Any]) -> str | None:
    """Return a sentence that says which executors there are, unless there is this one."""
    if name in executors:
        return None
    known = ", ".join(executors)
    return (
        f"There is no executor {name!r}.{did_you_mean(name, executors)} Known executors: {known}."
    )


def _read_table(name: str, table: Mapping[str, Any], default_root: Path) -> ExecutorSettings:
    require_table_name("executors", name)
    kind = _require_type(name, table)
    checks = _CHECKS[kind]
    for key, value in table.items():
        if key not in checks:
            raise ValueError(
                f"executors.{name}: unknown key {key!r}.{did_you_mean(key, checks)} Known keys of "
                f"type {kind!r}: {', '.join(checks)}"
            )
        expected = checks[key](value)
        if expected is not None:
            raise ValueError(
                f"executors.{name}.{key} must be {expected}, got {mask_text(repr(value))}"
            )
    values = {key: value for key, value in table.items() if key != "type"}
    roles = values.pop("roles", None)
    if roles is not None:
        roles = parse_roles(f"executors.{name}.roles", roles)
    if kind == LOCAL:
        return ExecutorSettings(name, roles)
    run_root = Path(values.pop("run_root")) if "run_root" in values else None
    return ExecutorSettings(name, roles, _slurm_options(values, run_root or default_root), run_root)


def _require_type(name: str, table: Mapping[str, Any]) -> str:
    kind = table.get("type", LOCAL if name == LOCAL else None)
    if kind not in TYPES:
        given = "has none" if kind is None else f"got {kind!r}"
        hint = did_you_mean(kind, TYPES) if isinstance(kind, str) else ""
        raise ValueError(
            f"executors.{name}.type must be {' or '.join(map(repr, TYPES))}, {given}.{hint}"
        )
    if (kind == LOCAL) != (name == LOCAL):
        raise ValueError(
            f"executors.{name}.type: the executor {LOCAL!r}, and no other, is of type {LOCAL!r}: "
            f"the server's own machine. Got {kind!r}"
        )
    return str(kind)


def _slurm_options(values: dict[str, Any], run_root: Path) -> SlurmOptions:
    options = dict(values)
    if "time" in options:
        options["time_minutes"] = parse_minutes(str(options.pop("time")))
    if "sbatch_args" in options:
        options["sbatch_args"] = tuple(options["sbatch_args"])
    if "gres" in options:
        options["gres"] = options["gres"] or None
    if "mem" in options:
        options["mem"] = str(options["mem"])
    return SlurmOptions(run_root, **options)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _check_text(value: Any) -> str | None:
    return None if _is_text(value) else "a non-empty text"


def _check_gres(value: Any) -> str | None:
    fine = value == "" or (
        _is_text(value) and NUM_GPUS in value and not set(value.replace(NUM_GPUS, "")) & set("{}")
    )
    return (
        None if fine else f"a text with {NUM_GPUS}, such as 'gpu:a100:{NUM_GPUS}', or '' for none"
    )


def _check_count(value: Any) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return None if fine else "an integer of at least 1"


def _check_mem(value: Any) -> str | None:
    if _check_count(value) is None:
        return None
    fine = isinstance(value, str) and re.fullmatch(r"[0-9]+[KMGT]?", value)
    return None if fine else "memory as Slurm takes it, such as '64G', or a number of MiB"


def _check_time(value: Any) -> str | None:
    fine = _check_count(value) is None or (
        isinstance(value, str) and parse_minutes(value) is not None
    )
    return (
        None
        if fine
        else (
            "a number of minutes above 0, or a time as Slurm takes it, such as '12:00:00' or '2-00'"
        )
    )


def _check_sbatch_args(value: Any) -> str | None:
    if not isinstance(value, list) or not all(map(_is_text, value)):
        return "a list of texts"
    if fault := sbatch_args_fault(tuple(value)):
        return f"a list of options that evalserver does not set itself ({fault})"
    if any(mask_text(each) != each for each in value):
        return "without keys and passwords, because every user of the machine can read them"
    return None


def _check_absolute(value: Any) -> str | None:
    fine = _is_text(value) and value.startswith("/") and not set(value) & set(",'\"[]{}")
    return None if fine else "an absolute path without commas, quotes or brackets"


def _check_poll(value: Any) -> str | None:
    fine = _is_number(value) and 0 < value <= MAX_POLL_SECONDS
    return None if fine else f"a number of seconds from above 0 to {MAX_POLL_SECONDS}"


def _check_silence(value: Any) -> str | None:
    fine = _is_number(value) and MIN_SILENCE_SECONDS <= value <= MAX_SILENCE_SECONDS
    return (
        None if fine else f"a number of seconds from {MIN_SILENCE_SECONDS} to {MAX_SILENCE_SECONDS}"
    )


def _check_run_root(value: Any) -> str | None:
    if (expected := _check_absolute(value)) is not None:
        return expected
    # A misspelled one would be created on this machine, where no node sees it.
    return None if Path(value).is_dir() else "an existing directory, which all nodes see as well"


def _check_elsewhere(value: Any) -> str | None:
    """For a key that is checked while it is parsed."""
    del value
    return None


Check = Callable[[Any], str | None]
"""Returns what is allowed if the value is invalid."""

_CHECKS: Mapping[str, Mapping[str, Check]] = {
    LOCAL: {"type": _check_elsewhere, "roles": _check_elsewhere},
    SLURM: {
        "type": _check_elsewhere,
        "partition": _check_text,
        "account": _check_text,
        "qos": _check_text,
        "constraint": _check_text,
        "gres": _check_gres,
        "cpus_per_gpu": _check_count,
        "mem": _check_mem,
        "time": _check_time,
        "sbatch_args": _check_sbatch_args,
        "python": _check_absolute,
        "poll_s": _check_poll,
        "max_handed_over": _check_count,
        "max_silence_s": _check_silence,
        "run_root": _check_run_root,
        "roles": _check_elsewhere,
    },
}
"""The keys of the tables of each type."""
