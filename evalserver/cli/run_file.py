"""lmms-eval's own files for ``--config``: one evaluation, or a list of them, as YAML.

What a file says reaches the server, or is told. It may have this server's own fields, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalserver.cli.arguments import arguments_of, parted
from evalserver.core.request import REQUEST_FIELDS
from evalserver.core.suggestions import did_you_mean

WHERE_IT_WRITES = frozenset({
    "output_path", "log_samples_suffix", "verbosity", "timezone", "show_config", "write_out",
    "use_cache", "cache_requests", "check_integrity", "process_docs_parallel", "config", "tui",
})  # fmt: skip
"""Keys of lmms-eval that change no number: where it writes, what it prints, what it keeps."""

NOT_TAKEN = frozenset({
    "env", "launcher_args", "max_batch_size", "offset", "wandb_args", "wandb_log_samples",
    "swanlab_args", "swanlab_log_samples", "system_instruction", "apply_chat_template",
    "fewshot_as_multiturn", "include_path", "reasoning_tags", "hf_hub_log_args",
    "trust_remote_code", "process_with_media", "agentic_trace_mode", "force_simple", "repeats",
    "baseline", "max_tokens", "power_analysis", "effect_size", "alpha", "power", "correlation",
    "std_a", "std_b",
})  # fmt: skip
"""Keys of lmms-eval that this server has no field for."""

AS_IF_NOT_GIVEN: tuple[Any, ...] = (None, False, "", {}, [])
SEEDS_OF_LMMS_EVAL = "0,1234,1234,1234"


class BadRunFile(ValueError):
    """The file cannot be used; says where and why."""


@dataclass(frozen=True)
class RunFile:
    """What a file asks for: the fields of each request, and what of it the server does not get."""

    requests: tuple[dict[str, Any], ...]
    is_list: bool
    left_out: tuple[str, ...]


def read_run_file(text: str, name: str, *, lenient: bool = False) -> RunFile:
    """The requests in the text of a file. Raises BadRunFile.

    With ``lenient`` what the server has no field for is left out, and not refused.
    """
    content = _yaml(text, name)
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise BadRunFile(f"{name} is empty")
    requests, left_out = [], set[str]()
    for number, entry in enumerate(entries, 1):
        where = f"{name}, entry {number}" if isinstance(content, list) else name
        request, left = _request(entry, where, lenient=lenient)
        requests.append(request)
        left_out |= left
    return RunFile(tuple(requests), isinstance(content, list), tuple(sorted(left_out)))


def _yaml(text: str, name: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadRunFile(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def _request(entry: Any, where: str, *, lenient: bool) -> tuple[dict[str, Any], set[str]]:
    if not isinstance(entry, Mapping) or not all(isinstance(key, str) for key in entry):
        raise BadRunFile(f"{where}: must be names with values, as in 'model: qwen2_5_vl'")
    given = {key: value for key, value in entry.items() if value not in AS_IF_NOT_GIVEN}
    ours = {key for key in entry if key in REQUEST_FIELDS}
    left_out = {key for key in given if key in WHERE_IT_WRITES and not _is_ours(key, given[key])}
    foreign = {key for key in given if key in NOT_TAKEN}
    _refuse_unknown(entry, where)
    if foreign and not lenient:
        raise BadRunFile(
            f"{where}: {', '.join(sorted(foreign))}: the server has no such field, so its numbers "
            "could differ; take it out of the file, or leave it out with --lenient"
        )
    fields = {key: entry[key] for key in entry if key in ours and key not in left_out}
    return _converted(fields, where), left_out | foreign


def _refuse_unknown(entry: Mapping[str, Any], where: str) -> None:
    known = {*REQUEST_FIELDS, *WHERE_IT_WRITES, *NOT_TAKEN}
    for key in entry:
        if key not in known:
            raise BadRunFile(
                f"{where}: neither lmms-eval nor evalserver has a key {key!r}."
                f"{did_you_mean(key, known)}"
            )


def _is_ours(key: str, value: Any) -> bool:
    """lmms-eval's ``use_cache`` is a path, the server's is yes or no."""
    return key == "use_cache" and isinstance(value, bool)


def _converted(fields: dict[str, Any], where: str) -> dict[str, Any]:
    """The fields as the server takes them: of what lmms-eval reads as text, what it says."""
    try:
        if isinstance(fields.get("model_args"), str):
            fields["model_args"] = arguments_of(fields["model_args"])
        if isinstance(fields.get("tasks"), str):
            fields["tasks"] = parted(fields["tasks"])
        if isinstance(fields.get("seed"), str):
            fields["seed"] = _seed(fields["seed"])
    except ValueError as error:
        raise BadRunFile(f"{where}: {error}") from None
    limit, size = fields.get("limit"), fields.get("batch_size")
    if isinstance(limit, float) and limit.is_integer() and abs(limit) != 1:
        fields["limit"] = int(limit)  # lmms-eval reads every limit as a float
    if isinstance(size, str) and size.isascii() and size.isdigit():
        fields["batch_size"] = int(size)
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _seed(text: str) -> int | None:
    """lmms-eval's four seeds, where they are one, or those that it has anyhow."""
    parts = {part.strip() for part in text.split(",")}
    if text.replace(" ", "") == SEEDS_OF_LMMS_EVAL:
        return None
    if len(parts) == 1 and text.strip().split(",")[0].strip().isdigit():
        return int(parts.pop())
    raise ValueError(f"seed: {text!r}: the server takes one number for all four seeds")


def text_of(path: str) -> tuple[str, str]:
    """What a file holds, and what to call it; ``-`` is the standard input. Raises OSError."""
    import sys

    if path == "-":
        return sys.stdin.read(), "the standard input"
    return Path(path).read_text(encoding="utf-8"), path
