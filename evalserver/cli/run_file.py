"""Reading lmms-eval's ``--config`` files: one evaluation, or a list of evaluations, as YAML; or
requests as JSON, one per line.

No key is dropped silently: options of lmms-eval without a field become ``harness_args``. A file can
also have the request fields of this server.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.cli.arguments import parse_arguments, split_commas
from evalserver.cli.values import seeds
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.suggestions import did_you_mean
from evalserver.engines.lmms_eval_options import OPTIONS
from evalserver.engines.parameters import Kind as ParameterKind

OUTPUT_KEYS = frozenset({
    "output_path", "log_samples_suffix", "timezone", "use_cache", "check_integrity", "config",
    "tui",
})  # fmt: skip
"""Keys of lmms-eval that do not change results: output, logging and caching."""

UNSUPPORTED_KEYS = frozenset({
    "env", "include_path", "power_analysis", "effect_size", "alpha", "power", "correlation",
    "std_a", "std_b",
})  # fmt: skip
"""Keys of lmms-eval that are neither a field of the server nor an option of a harness."""

EMPTY_VALUES: tuple[Any, ...] = (None, False, "", {}, [])
HARNESS_ARGS = "harness_args"
SEEDS = 4
LMMS_EVAL_DEFAULT_SEEDS = "0,1234,1234,1234"


class InvalidRunFile(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True)
class RunFile:
    """The contents of a file: the fields of each request, and the keys that are not sent."""

    requests: tuple[dict[str, Any], ...]
    is_list: bool
    ignored: tuple[str, ...]


def read_run_file(text: str, name: str, *, lenient: bool = False) -> RunFile:
    """Parse the text of a file. Raises InvalidRunFile.

    ``lenient`` ignores keys that the server does not support, instead of rejecting them.
    """
    content = _parse_lines(text, name) if name.endswith(".jsonl") else _parse_yaml(text, name)
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise InvalidRunFile(f"{name} is empty")
    requests, ignored = [], set[str]()
    for number, entry in enumerate(entries, 1):
        where = f"{name}, entry {number}" if isinstance(content, list) else name
        request, keys = _parse_request(entry, where, lenient=lenient)
        requests.append(request)
        ignored |= keys
    return RunFile(tuple(requests), isinstance(content, list), tuple(sorted(ignored)))


def _parse_lines(text: str, name: str) -> list[Any]:
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise InvalidRunFile(f"{name}, line {number}: it is not JSON: {error}") from None
    return entries


def _parse_yaml(text: str, name: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidRunFile(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def _parse_request(entry: Any, where: str, *, lenient: bool) -> tuple[dict[str, Any], set[str]]:
    if not isinstance(entry, Mapping) or not all(isinstance(key, str) for key in entry):
        raise InvalidRunFile(
            f"{where}: must be a mapping of names to values, such as 'model: qwen2_5_vl'"
        )
    given = {key: value for key, value in entry.items() if value not in EMPTY_VALUES}
    ours = {key for key in entry if key in REQUEST_FIELDS}
    ignored = {key for key in given if key in OUTPUT_KEYS and not _is_server_field(key, given[key])}
    unsupported = {key for key in given if key in UNSUPPORTED_KEYS}
    _reject_unknown(entry, where)
    if unsupported and not lenient:
        raise InvalidRunFile(
            f"{where}: {', '.join(sorted(unsupported))}: the server does not support this, "
            "so that results could differ; remove it from the file, or ignore it with --lenient"
        )
    fields = {key: entry[key] for key in entry if key in ours and key not in ignored}
    options = {key: given[key] for key in given if key in OPTIONS}
    if options:
        fields[HARNESS_ARGS] = {**(fields.get(HARNESS_ARGS) or {}), **options}
    return _convert(fields, where), ignored | unsupported


def _reject_unknown(entry: Mapping[str, Any], where: str) -> None:
    known = {*REQUEST_FIELDS, *OPTIONS, *OUTPUT_KEYS, *UNSUPPORTED_KEYS}
    for key in entry:
        if key not in known:
            raise InvalidRunFile(
                f"{where}: neither lmms-eval nor evalserver has a key {key!r}."
                f"{did_you_mean(key, known)}"
            )


def _is_server_field(key: str, value: Any) -> bool:
    """Return whether a key is meant for the server: its ``use_cache`` is a boolean, lmms-eval's a
    path."""
    return key == "use_cache" and isinstance(value, bool)


def _convert(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """Convert the fields to the types of the server, where lmms-eval accepts texts."""
    try:
        if isinstance(fields.get("model_args"), str):
            fields["model_args"] = parse_arguments(fields["model_args"])
        if isinstance(fields.get("tasks"), str):
            fields["tasks"] = split_commas(fields["tasks"])
        if isinstance(fields.get("seed"), str):
            fields["seed"] = _parse_seed(fields["seed"])
        if HARNESS_ARGS in fields:
            fields[HARNESS_ARGS] = _convert_options(fields[HARNESS_ARGS])
    except ValueError as error:
        raise InvalidRunFile(f"{where}: {error}") from None
    limit, size = fields.get("limit"), fields.get("batch_size")
    if isinstance(limit, float) and limit.is_integer() and abs(limit) != 1:
        fields["limit"] = int(limit)  # lmms-eval parses every limit as a float
    if isinstance(size, str) and size.isascii() and size.isdigit():
        fields["batch_size"] = int(size)
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _parse_seed(text: str) -> int | list[int | None] | None:
    """Convert lmms-eval's seeds, which are its defaults if they are absent."""
    if text.replace(" ", "") == LMMS_EVAL_DEFAULT_SEEDS:
        return None
    found = seeds(text)
    is_one = isinstance(found, list) and len(found) == SEEDS and len(set(found)) == 1
    return found[0] if is_one and isinstance(found, list) else found


def _convert_options(options: Any) -> Any:
    """Convert options whose values lmms-eval takes as text of a form of its own."""
    if not isinstance(options, dict):
        return options
    return {name: _convert_option(name, value) for name, value in options.items()}


def _convert_option(name: str, value: Any) -> Any:
    if name not in OPTIONS or not isinstance(value, str):
        return value
    if OPTIONS[name].kinds == (ParameterKind.OBJECT,):
        return parse_arguments(value)
    is_json = ParameterKind.PAIRS in OPTIONS[name].kinds and value.lstrip().startswith("[")
    return json.loads(value) if is_json else value


def read_text(path: str) -> tuple[str, str]:
    """Read a file, or the standard input for ``-``. Returns the text and a name. Raises OSError."""
    import sys

    if path == "-":
        return sys.stdin.read(), "the standard input"
    return Path(path).read_text(encoding="utf-8"), path
