"""The operator's settings of an engine: the table ``[engines.NAME]`` of the TOML file."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from evalserver.core.masking import mask_text
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.suggestions import did_you_mean
from evalserver.core.table_names import require_table_name

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

HARNESS_ARGS = "harness_args"

SERVER_DIRECTORY, ATTEMPT_DIRECTORY = "server", "attempt"
"""Where attempts of an engine run: where the server does, or each in a directory of its own."""

WARM_OFF, WARM_AUTO, WARM_PRELOAD = WARM_MODES = ("off", "auto", "preload")
"""Whether attempts of an engine are started warm: never, where that was tried, or always."""

DEFAULTS = tuple(name for name, row in REQUEST_FIELDS.items() if row.engine_default)
"""The fields of a request for which an engine's table may have a default."""


@dataclass(frozen=True)
class EngineSettings:
    """The settings of one engine.

    ``name`` is its name in requests, ``type`` the adapter, ``python`` the interpreter of the
    harness, ``include_path`` a directory of task definitions beside the harness's own.
    ``environment`` is added to the harness's environment, ``defaults`` apply to fields that a
    request does not set, ``models`` are the names or wildcards of allowed models (None: any).
    ``allow`` are the options of the harness that requests may set although they run code or send
    results to others, ``extra_args`` further arguments of its command line. ``working_directory``
    says where its attempts run, ``executor`` which executor runs them, ``warm`` whether they are
    started warm (None: as the server's setting says). ``options`` are the remaining keys, which
    belong to the type.
    """

    name: str
    type: str
    python: str
    include_path: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] | None = None
    allow: tuple[str, ...] = ()
    extra_args: tuple[str, ...] = ()
    working_directory: str = SERVER_DIRECTORY
    executor: str | None = None
    warm: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def allows(self, model: str) -> bool:
        """Return whether a request may have this model."""
        return self.models is None or any(fnmatchcase(model, each) for each in self.models)


def read_settings(
    name: str, table: Mapping[str, Any], python: str, include_path: str | None
) -> EngineSettings:
    """Parse the table of an engine; ``python`` and ``include_path`` are the defaults of these keys.

    Raises ValueError with the key, its value, and what is allowed.
    """
    require_table_name("engines", name)
    if not isinstance(table, Mapping):
        raise ValueError(f"engines.{name} must be a table, got {table!r}")
    known = {key: _require_valid(name, key, table[key]) for key in _CHECKS if key in table}
    for key in known.keys() & {"models", "allow", "extra_args"}:
        known[key] = tuple(known[key])
    known["defaults"] = _all_defaults(name, known)
    return EngineSettings(
        name=name,
        type=known.pop("type", name),
        python=find_program(known.pop("python", python), f"engines.{name}.python"),
        include_path=_require_directory(known.pop("include_path", include_path), name),
        options={key: value for key, value in table.items() if key not in _CHECKS},
        **known,
    )


def _all_defaults(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of request fields, with the table ``harness_args`` as one of them."""
    defaults = dict(known.get("defaults", {}))
    if HARNESS_ARGS in known and HARNESS_ARGS in defaults:
        raise ValueError(f"engines.{name}.{HARNESS_ARGS}: is also in engines.{name}.defaults")
    if HARNESS_ARGS in known:
        defaults[HARNESS_ARGS] = known.pop(HARNESS_ARGS)
    return defaults


def find_program(name: str, setting: str) -> str:
    """Return the absolute path of a program. Raises ValueError, naming the setting, without one."""
    found = shutil.which(os.path.expanduser(name))  # noqa: PTH111 - a text
    if found is None:
        raise ValueError(f"{setting}: {name} is not an executable program")
    return str(Path(found).absolute())


def require_no_options(settings: EngineSettings) -> None:
    """Raise ValueError for the first unknown key of the table."""
    for key in settings.options:
        known = tuple(_CHECKS)
        raise ValueError(
            f"engines.{settings.name}: unknown key {key!r}.{did_you_mean(key, known)} "
            f"Known keys: {', '.join(known)}"
        )


def _require_directory(path: str | None, name: str) -> str | None:
    if path is None:
        return None
    place = Path(path).expanduser()
    if not place.is_dir():
        raise ValueError(f"engines.{name}.include_path: {path} is not a directory")
    # Absolute: it is read from the working directory of an attempt.
    return str(place.absolute())


def _require_valid(name: str, key: str, value: Any) -> Any:
    expected = _CHECKS[key](value)
    if expected is not None:
        raise ValueError(f"engines.{name}.{key} must be {expected}, got {value!r}")
    return value


def _check_text(value: Any) -> str | None:
    return None if isinstance(value, str) and value and value.isprintable() else "a non-empty text"


def _check_path(value: Any) -> str | None:
    # lmms-eval splits paths at commas outside of quotes and brackets.
    fine = _check_text(value) is None and not set(value) & set(",'\"[]{}")
    return None if fine else "a path without commas, quotes or brackets"


def _check_variables(value: Any) -> str | None:
    fine = isinstance(value, Mapping) and all(
        VARIABLE.fullmatch(key) and isinstance(text, str) and "\0" not in text
        for key, text in value.items()
    )
    return None if fine else "a table of variables, each a text"


def _check_defaults(value: Any) -> str | None:
    fine = isinstance(value, Mapping) and set(value) <= set(DEFAULTS)
    return None if fine else f"a table of fields of a request, from {', '.join(DEFAULTS)}"


def _check_arguments(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "a table of options of the harness"


def _check_extra_args(value: Any) -> str | None:
    if not isinstance(value, list) or not all(
        isinstance(each, str) and each and "\0" not in each for each in value
    ):
        return "a list of texts"
    if any(mask_text(each) != each for each in value):
        return (
            "without keys and passwords, because every user of the machine can read command lines "
            "(use the table's environment)"
        )
    return None


def _check_working_directory(value: Any) -> str | None:
    names = (SERVER_DIRECTORY, ATTEMPT_DIRECTORY)
    return None if value in names else " or ".join(map(repr, names))


def _check_warm(value: Any) -> str | None:
    return None if value in WARM_MODES else " or ".join(map(repr, WARM_MODES))


def _check_texts(value: Any) -> str | None:
    fine = isinstance(value, list) and value and all(_check_text(each) is None for each in value)
    return None if fine else "a list of names or wildcards"


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "type": _check_text,
    "python": _check_path,
    "include_path": _check_path,
    "environment": _check_variables,
    "defaults": _check_defaults,
    "models": _check_texts,
    "allow": _check_texts,
    "extra_args": _check_extra_args,
    "working_directory": _check_working_directory,
    "executor": _check_text,
    "warm": _check_warm,
    HARNESS_ARGS: _check_arguments,
}
"""The keys of every engine's table. A check returns what is allowed if the value is invalid."""
