"""Parsing the table of an operator's own program: ``[engines.NAME]`` with ``type = "command"``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.request_fields import Addressee, Kind
from evalserver.core.suggestions import did_you_mean
from evalserver.engines.linear_pattern import LinearPattern
from evalserver.engines.parameters import Parameter
from evalserver.engines.patterns import MAX_PROGRAM_SIZE
from evalserver.engines.settings import EngineSettings
from evalserver.engines.template import Template, TemplateError

KEYS = ("argv", "results", "samples", "parameters", "progress", "version", "tasks")
"""The keys of such a table, beside those of every engine."""

SCALARS = (Kind.NAME, Kind.INTEGER, Kind.SEED, Kind.BATCH_SIZE, Kind.LIMIT)
"""Kinds of fields whose value fits into one argument."""

ALWAYS = ("model", "tasks", "output_dir", "run_dir", "python", "num_gpus")
"""Placeholders that always have a value."""
FIELDS = tuple(
    name
    for name, row in REQUEST_FIELDS.items()
    if row.addressee is Addressee.HARNESS and not row.required and row.kind in SCALARS
)
"""Placeholders for optional fields of the request."""
CACHE = "cache_dir"
"""The placeholder that has a value unless the request has ``use_cache = false``."""

TASK = "{task}"


@dataclass(frozen=True)
class CommandTable:
    """The command line, its parameters by name, the paths of results and samples, a regular
    expression for progress, the command that prints the version, and the known tasks."""

    argv: tuple[Template, ...]
    parameters: Mapping[str, Parameter]
    results: str
    samples: str | None
    progress: str | None
    version: tuple[str, ...]
    tasks: tuple[str, ...]

    @property
    def places(self) -> set[str]:
        """The names of all placeholders in the command line."""
        return {name for template in self.argv for name in template.places}


def read_table(settings: EngineSettings) -> CommandTable:
    """Parse the table. Raises ValueError with the key, its value, and what is allowed."""
    where, options = f"engines.{settings.name}", settings.options
    _check_keys(where, options)
    parameters = _parse_parameters(f"{where}.parameters", options.get("parameters", {}))
    samples = options.get("samples")
    table = CommandTable(
        argv=_parse_templates(f"{where}.argv", options["argv"], parameters),
        parameters=parameters,
        results=_require_relative_path(f"{where}.results", options.get("results", "results.json")),
        samples=None if samples is None else _require_relative_path(f"{where}.samples", samples),
        progress=_parse_pattern(f"{where}.progress", options.get("progress")),
        version=_require_texts(f"{where}.version", options.get("version", [])),
        tasks=_require_texts(f"{where}.tasks", options.get("tasks", [])),
    )
    if table.samples is not None and table.samples.count(TASK) != 1:
        raise ValueError(f"{where}.samples must have {TASK} in it once, got {samples!r}")
    for name in parameters:
        if name not in table.places:
            raise ValueError(f"{where}.parameters.{name} has no placeholder in argv: {{{name}}}")
    return table


def _check_keys(where: str, options: Mapping[str, Any]) -> None:
    for key in options:
        if key not in KEYS:
            raise ValueError(
                f"{where}: unknown key {key!r}.{did_you_mean(key, KEYS)} "
                f"Known keys: {', '.join(KEYS)}"
            )
    if "argv" not in options:
        raise ValueError(f"{where}.argv is missing: the command line, as a list of texts")


def _parse_parameters(where: str, tables: Any) -> dict[str, Parameter]:
    if not isinstance(tables, Mapping):
        raise ValueError(f"{where} must be a table, got {tables!r}")
    for name in tables:
        if name in (*ALWAYS, CACHE, *FIELDS):
            raise ValueError(f"{where}.{name}: this is the name of a built-in placeholder")
    return {name: Parameter.read(where, name, table) for name, table in tables.items()}


def _parse_templates(
    where: str, argv: Any, parameters: Mapping[str, Parameter]
) -> tuple[Template, ...]:
    try:
        templates = tuple(Template.parse(text) for text in _require_texts(where, argv))
    except TemplateError as error:
        raise ValueError(f"{where}: {error}") from None
    if not templates:
        raise ValueError(f"{where} must begin with a program")
    if set(templates[0].places) - {"python"}:
        raise ValueError(f"{where}: a request must not choose the program: {templates[0].text}")
    known = (*ALWAYS, CACHE, *FIELDS, *parameters)
    for name in (name for template in templates for name in template.places):
        if name not in known:
            raise ValueError(
                f"{where}: unknown placeholder {{{name}}}.{did_you_mean(name, known)} "
                f"Known placeholders: {', '.join(known)}"
            )
    return templates


def _require_texts(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"{where} must be a list of texts, got {value!r}")
    return tuple(value)


def _require_relative_path(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value or value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"{where} must be a path below the output directory, got {value!r}")
    return value


def _parse_pattern(where: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        groups = LinearPattern(value, MAX_PROGRAM_SIZE).group_names
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if "done" not in groups:
        raise ValueError(f"{where} must have a group (?P<done>...), got {value!r}")
    return str(value)
