"""Which engines there are: ours, and those that other packages bring as plug-ins."""

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
from evalserver.engines.settings import EngineSettings, read_settings

GROUP = "evalserver.engines"
"""The group of entry points in which a package names its engines."""

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
"""These need no table: they are run by the server's ``engine_python`` then."""


def make_engines(
    python: str, include_path: str | None, tables: Mapping[str, Any] | None = None
) -> dict[str, Engine]:
    """Every engine by its name: those of the tables, and ours that need none.

    The interpreter ``python`` runs harnesses whose table names no other; ``include_path`` is a
    directory of task definitions beside the harness's own. Raises ValueError, which names the
    table and the key, when one is not allowed.
    """
    return {
        name: make_engine(name, table, python, include_path)
        for name, table in all_tables(tables or {}).items()
    }


def all_tables(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of all engines by their names: those that were given, and ours that need none."""
    return {**{name: {} for name in BUILT_IN_ENGINES}, **tables}


def make_engine(
    name: str, table: Mapping[str, Any], python: str, include_path: str | None
) -> Engine:
    """One engine, as its table sets it up. Raises ValueError as ``make_engines`` does."""
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
