"""The options of a harness that have no field of their own in requests: ``harness_args``.

Each engine declares its table of them (``Engine.options``). Checks, messages and the pages of
``docs/engines.md`` are derived from it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.suggestions import did_you_mean
from evalserver.engines.parameters import Kind, Parameter
from evalserver.engines.settings import EngineSettings

FIELD = "harness_args"

TYPE_NAMES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.STRING: "text of one line",
        Kind.TEXT: "text",
        Kind.PATH: "absolute path",
        Kind.NAMES: "list of texts",
        Kind.PAIRS: "list of pairs of texts",
        Kind.INDICES: "object of lists of integers",
    }
)

RUNS_CODE = "runs code"
SENDS_RESULTS = "sends results to others with the keys of the server"
STARTS_SERVER = "starts another server on the machine"


@dataclass(frozen=True, kw_only=True)
class Option(Parameter):
    """An option of a harness.

    ``flag`` is the harness's own name for it (``option_table`` derives it from the name if it is
    empty), ``help`` is Markdown, ``example`` a valid value.
    ``risk`` says what an option does that the operator has to allow; empty if nothing.
    """

    flag: str = ""
    help: str
    example: Any
    risk: str = ""

    @property
    def types(self) -> str:
        """The types of values in words, with bounds and choices."""
        words = {
            Kind.CHOICE: ", ".join(map(repr, self.choices)),
            Kind.INTEGER: f"integer{self.bounds}",
            Kind.NUMBER: f"number{self.bounds}",
        }
        return " or ".join(words.get(kind, TYPE_NAMES.get(kind, kind)) for kind in self.kinds)


def option_table(*options: Option, separator: str = "_") -> Mapping[str, Option]:
    """Return options by name. ``separator`` is between the words of the harness's flags."""
    return MappingProxyType({each.name: _with_flag(each, separator) for each in options})


def _with_flag(option: Option, separator: str) -> Option:
    return replace(option, flag=option.flag or f"--{option.name.replace('_', separator)}")


def given_options(harness_args: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options that have a value: null leaves one to the harness."""
    return {name: value for name, value in (harness_args or {}).items() if value is not None}


def find_option_faults(
    options: Mapping[str, Option], harness_args: Mapping[str, Any] | None, settings: EngineSettings
) -> dict[str, str]:
    """Return a sentence for each option that is unknown, invalid or not allowed."""
    defaults = settings.defaults.get(FIELD, {})
    found: dict[str, str] = {}
    for name, value in (harness_args or {}).items():
        # An operator's own defaults need no permission.
        is_default = name in defaults and defaults[name] == value
        sentence = _invalid_reason(options, name, value, settings) or (
            None if is_default else _forbidden_reason(options[name], value, settings)
        )
        if sentence is not None:
            found[f"{FIELD}.{name}"] = sentence
    return found


def check_option_settings(options: Mapping[str, Option], settings: EngineSettings) -> None:
    """Raise ValueError for an invalid ``allow``, or an invalid option among the defaults."""
    where = f"engines.{settings.name}"
    guarded = [name for name, option in options.items() if option.risk]
    for name in settings.allow:
        if name not in guarded:
            raise ValueError(
                f"{where}.allow: {name!r} is no option that has to be allowed."
                f"{did_you_mean(name, guarded)} This engine has {_listed(guarded)}"
            )
    for name, value in settings.defaults.get(FIELD, {}).items():
        sentence = _invalid_reason(options, name, value, settings)
        if sentence is not None:
            raise ValueError(f"{where}.{FIELD}.{name}: {sentence} Got {value!r}")


def _invalid_reason(
    options: Mapping[str, Option], name: str, value: Any, settings: EngineSettings
) -> str | None:
    option = options.get(name)
    if option is not None:
        return None if value is None else option.invalid_reason(value)
    if name in REQUEST_FIELDS:
        return f"Is a field of the request: give it beside {FIELD}."
    return f"Unknown option.{did_you_mean(name, options)} {settings.name} takes {_listed(options)}."


def _forbidden_reason(option: Option, value: Any, settings: EngineSettings) -> str | None:
    if not option.risk or value is None or value is False or option.name in settings.allow:
        return None
    return (
        f"This option {option.risk}, so the operator has to allow it: "
        f'allow = ["{option.name}"] in the table [engines.{settings.name}] of the TOML file.'
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
