"""Making the engines: the built-in ones, and plug-ins of other packages."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from evalserver.core.suggestions import did_you_mean
from evalserver.engines import merge
from evalserver.engines.command import CommandEngine
from evalserver.engines.engine import Engine
from evalserver.engines.inspect_ai import InspectAi
from evalserver.engines.lm_eval import LmEval
from evalserver.engines.lmms_eval import LmmsEval
from evalserver.engines.merge import MergeEngine
from evalserver.engines.options import check_option_settings
from evalserver.engines.settings import EngineSettings, read_settings

GROUP = "evalserver.engines"
"""The entry point group of plug-ins."""

EngineType = Callable[[EngineSettings], Engine]

BUILT_IN_TYPES: Mapping[str, EngineType] = MappingProxyType(
    {
        "lmms_eval": LmmsEval,
        "lm_eval": LmEval,
        "inspect": InspectAi,
        "command": CommandEngine,
        "merge": MergeEngine,
    }
)
BUILT_IN_ENGINES = ("lmms_eval", "lm_eval", "inspect", "merge")
"""These exist without a table; the setting ``engine_python`` is their interpreter then."""


def make_engines(
    python: str, include_path: str | None, tables: Mapping[str, Any] | None = None
) -> dict[str, Engine]:
    """Return all engines by name: those of the tables, and the built-in ones.

    ``python`` and ``include_path`` are the defaults of these keys. Raises ValueError, which names
    the table and the key, when one is invalid.
    """
    return {
        name: make_engine(name, table, python, include_path)
        for name, table in all_tables(tables or {}).items()
    }


def all_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of all engines by name, with empty ones for the built-in engines."""
    return {**{name: {} for name in BUILT_IN_ENGINES}, **tables}


def make_engine(
    name: str, table: Mapping[str, Any], python: str, include_path: str | None
) -> Engine:
    """Make one engine from its table. Raises ValueError as ``make_engines`` does."""
    settings = read_settings(name, table, python, include_path)
    if (settings.type == merge.NAME) != (name == merge.NAME):
        raise ValueError(
            f"engines.{name}.type: the engine {merge.NAME!r}, and no other, has the type "
            f"{merge.NAME!r}; got {settings.type!r}"
        )
    engine = _find_type(settings)(settings)
    if not isinstance(engine, Engine):
        raise ValueError(
            f"engines.{settings.name}: the type {settings.type!r} made {engine!r}, which is no "
            "evalserver.engines.Engine"
        )
    if settings.extra_args and engine.rejects_extra_args:
        raise ValueError(f"engines.{name}.extra_args: {engine.rejects_extra_args}")
    check_option_settings(engine.options, settings)
    for field, value in settings.defaults.items():
        if not engine.accepts_value(field, value):
            raise ValueError(
                f"engines.{name}.defaults.{field}: the engine does not accept this field"
            )
    return engine


def _find_type(settings: EngineSettings) -> EngineType:
    if settings.type in BUILT_IN_TYPES:
        return BUILT_IN_TYPES[settings.type]
    plugins = {each.name: each for each in entry_points(group=GROUP)}
    if settings.type in plugins:
        return _load_plugin(settings, plugins[settings.type])
    known = [*BUILT_IN_TYPES, *sorted(plugins)]
    raise ValueError(
        f"engines.{settings.name}.type: there is no engine type {settings.type!r}."
        f"{did_you_mean(settings.type, known)} Known types: {', '.join(known)}. "
        f"A plug-in must be installed beside the server"
    )


def _load_plugin(settings: EngineSettings, plugin: EntryPoint) -> EngineType:
    try:
        loaded: EngineType = plugin.load()
    except Exception as error:
        raise ValueError(
            f"engines.{settings.name}: the plug-in {plugin.value} cannot be loaded: {error!r}"
        ) from error
    return loaded
