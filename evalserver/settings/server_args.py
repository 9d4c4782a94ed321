"""Every setting of the server: its name, default, check and help, in one table.

The command line, the environment variables, the TOML file and the documentation are derived from
this table; to add a setting, add a field. ``checks.py`` has the checks of values, and
``sources.py`` reads the settings from their sources.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from evalserver.core.suggestions import did_you_mean
from evalserver.settings import checks as allowed


def _default_data_dir() -> str:
    return str(Path.home() / ".local" / "share" / "evalserver")


def _setting(
    check: allowed.Check, help_text: str, *, only_in_file: bool = False, **default: Any
) -> Any:
    metadata = {"check": check, "help": help_text, "only_in_file": only_in_file}
    return field(metadata=metadata, **default)


@dataclass(frozen=True)
class ServerArgs:
    """The settings of one server.

    Raises ValueError at construction if a value is invalid, naming the setting, the value and its
    type.
    """

    host: str = _setting(allowed.text, "Address to listen on.", default="localhost")
    port: int = _setting(allowed.port, "Port to listen on.", default=8000)
    max_completed_jobs: int = _setting(
        allowed.positive,
        "Finished jobs to keep; older ones are pruned, and only their numbers stay.",
        default=100,
    )
    temp_dir_prefix: str = _setting(
        allowed.directory_prefix,
        "Prefix of each job's directory under DATA_DIR/runs.",
        default="lmms_eval_",
    )
    data_dir: str = _setting(
        allowed.path, "Directory of all data of the server.", default_factory=_default_data_dir
    )
    default_engine: str = _setting(
        allowed.text, "Engine of a request without `engine`.", default="lmms_eval"
    )
    default_executor: str = _setting(
        allowed.text,
        "Executor of a request without `executor`: local (this machine), or the name of a cluster.",
        default="local",
    )
    engine_python: str = _setting(
        allowed.path,
        "Python interpreter that runs the harnesses (default: the server's own).",
        default_factory=lambda: sys.executable,
    )
    include_path: str | None = _setting(
        allowed.optional_path, "Directory of the lab's own task definitions.", default=None
    )
    max_failed_requests: float = _setting(
        allowed.share,
        "Fraction of an evaluation's model requests that may fail, from 0 to 1.",
        default=0.05,
    )
    cancel_grace: float = _setting(
        allowed.seconds,
        "Seconds between SIGTERM and SIGKILL when an evaluation is stopped.",
        default=10.0,
    )
    max_body_bytes: int = _setting(
        allowed.body_bytes, "Maximum size of a request body, in bytes.", default=1024 * 1024
    )
    max_output_bytes: int | None = _setting(
        allowed.optional_positive,
        "Maximum bytes of the files of finished jobs on disk; the oldest are pruned beyond that.",
        default=None,
    )

    default_timeout: float | None = _setting(
        allowed.optional_seconds,
        "Time limit in seconds of an evaluation whose request has none.",
        default=None,
    )
    max_timeout: float | None = _setting(
        allowed.optional_seconds,
        "Maximum time limit in seconds of a request.",
        default=None,
    )
    gpus: str = _setting(
        allowed.gpus,
        "GPUs that the server manages: none, auto (all), or a list of indices or UUIDs such as"
        " 0,1,4. An evaluation then holds num_gpus of them, and sees no others.",
        default="none",
    )
    max_running: int | None = _setting(
        allowed.optional_positive,
        "Maximum evaluations at once (default: 1; with managed GPUs, as many as these allow).",
        default=None,
    )
    max_running_without_gpu: int = _setting(
        allowed.positive,
        "With managed GPUs: maximum evaluations at once that need none (num_gpus: 0).",
        default=1,
    )
    max_running_per_token: int | None = _setting(
        allowed.optional_positive,
        "Maximum evaluations at once of one token, counted apart for those with and without GPUs;"
        " jobs of others then go first.",
        default=None,
    )
    backfill: bool = _setting(
        allowed.boolean,
        "Start later jobs on GPUs that the first queued job cannot use yet, if that does not"
        " delay it.",
        default=False,
    )
    gpu_idle_memory: int = _setting(
        allowed.positive,
        "Bytes that may be in use on a free GPU, such as by the driver and a desktop. With more,"
        " it gets no job; if they stay in use after one, it is quarantined.",
        default=1024**3,
    )
    memory_per_job: int | None = _setting(
        allowed.optional_memory,
        "Maximum bytes of memory of an evaluation, where this user may create cgroups that limit"
        " it (evalserver doctor says so); the kernel kills what goes beyond (default: no limit).",
        default=None,
    )
    stall_after: float = _setting(
        allowed.seconds,
        "Seconds without activity (nothing written, no GPU used) after which an evaluation counts"
        " as stalled; 0: never.",
        default=1800.0,
    )
    on_stall: str = _setting(
        allowed.on_stall,
        "A stalled evaluation is only shown as such (warn), or it is stopped and its job fails"
        " (fail).",
        default="warn",
    )
    warm: str = _setting(
        allowed.warm,
        "Start evaluations by processes that have imported the harness: never (off), where that was"
        " tried with its version (auto), or from the server's start on and with every version"
        " (preload). An engine's table can differ.",
        default="auto",
    )
    warm_idle_s: float = _setting(
        allowed.seconds,
        "Seconds without a start after which such a process is ended.",
        default=1800.0,
    )
    on_shutdown: str = _setting(
        allowed.on_shutdown,
        "At shutdown, evaluations on this machine continue (keep) or are cancelled (cancel).",
        default="keep",
    )

    auth: str = _setting(
        allowed.auth,
        "Who needs a token: all clients unless on loopback (auto), all (token), or none (none).",
        default="auto",
    )
    allowed_host: tuple[str, ...] = _setting(
        allowed.host_names,
        "Additional host name by which clients reach the server; repeatable.",
        default=(),
    )
    trusted_proxy: tuple[str, ...] = _setting(
        allowed.networks,
        "Address or network of a proxy whose X-Forwarded-For and -Proto are trusted; repeatable.",
        default=(),
    )
    tls_cert: str | None = _setting(
        allowed.optional_file,
        "Certificate chain (PEM), which enables TLS; SIGHUP reloads it.",
        default=None,
    )
    tls_key: str | None = _setting(
        allowed.optional_file, "Private key of the certificate (PEM).", default=None
    )
    allow_path: tuple[str, ...] = _setting(
        allowed.paths,
        "Directory in which clients may name paths, such as output_dir; repeatable.",
        default=(),
    )
    task_path: tuple[str, ...] = _setting(
        allowed.paths,
        "Directory whose task files, which run code, clients may name as tasks; repeatable.",
        default=(),
    )
    engine_env: tuple[str, ...] = _setting(
        allowed.variables,
        "Additional environment variable for the harness: NAME, with the server's value, or"
        " NAME=VALUE, which all users of this machine can read if given as an option; repeatable.",
        default=(),
    )
    rate_limit: float | None = _setting(
        allowed.optional_rate,
        "Maximum requests per second of one token, or of one address without a token; 0: no limit"
        " (default: 50; no limit on loopback).",
        default=None,
    )
    max_queued_jobs: int = _setting(
        allowed.positive, "Maximum queued jobs; more are rejected with 429.", default=250_000
    )
    max_queued_per_token: int = _setting(
        allowed.positive, "Maximum queued jobs of one token.", default=10_000
    )
    max_queued_bytes: int = _setting(
        allowed.positive,
        "Maximum total bytes of the requests of queued jobs; more are rejected with 429.",
        default=2 * 1024**3,
    )
    max_queued_bytes_per_token: int = _setting(
        allowed.positive,
        "Maximum total bytes of the requests of queued jobs of one token.",
        default=256 * 1024**2,
    )
    max_connections: int = _setting(
        allowed.positive,
        "Maximum concurrent connections; a quarter of them from one address.",
        default=800,
    )
    webhook_allow_network: tuple[str, ...] = _setting(
        allowed.networks,
        "Private address or network that webhooks may be sent to; repeatable.",
        default=(),
    )
    public_url: str | None = _setting(
        allowed.optional_url,
        "URL under which people reach the server, for links in webhooks (default: its address).",
        default=None,
    )
    disk_low_bytes: int = _setting(
        allowed.bytes_or_none,
        "Free bytes on the disk of the data directory below which webhooks are told; 0: never.",
        default=2 * 1024**3,
    )
    fingerprint: str = _setting(
        allowed.fingerprint,
        "What is hashed of a local checkpoint: small files and index (quick), or all files (full).",
        default="quick",
    )
    engines: Mapping[str, Mapping[str, Any]] = _setting(
        allowed.tables,
        "The tables [engines.NAME] of the TOML file; see docs/engines.md.",
        default_factory=dict,
        only_in_file=True,
    )
    env_profiles: Mapping[str, Mapping[str, Any]] = _setting(
        allowed.tables,
        "The tables [env_profiles.NAME] of the TOML file: sets of variables for harnesses, which "
        "requests name; see docs/configuration.md.",
        default_factory=dict,
        only_in_file=True,
    )

    executors: Mapping[str, Mapping[str, Any]] = _setting(
        allowed.tables,
        "The tables [executors.NAME] of the TOML file: where evaluations run; see "
        "docs/configuration.md.",
        default_factory=dict,
        only_in_file=True,
    )
    series: Mapping[str, Mapping[str, Any]] = _setting(
        allowed.tables,
        "The tables [series.PATTERN] of the TOML file: rules for the evaluations of training runs; "
        "see docs/configuration.md.",
        default_factory=dict,
        only_in_file=True,
    )

    gates: Mapping[str, Mapping[str, Any]] = _setting(
        allowed.tables,
        "The tables [gates.NAME] of the TOML file: policies by which jobs are judged; see "
        "docs/gates.md.",
        default_factory=dict,
        only_in_file=True,
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            # JSON and TOML have only lists.
            if setting.default == () and isinstance(getattr(self, setting.name), list):
                object.__setattr__(self, setting.name, tuple(getattr(self, setting.name)))
            value = getattr(self, setting.name)
            fault = setting.metadata["check"](value)
            if fault is not None:
                # The values in a table may be secrets.
                shown = list(value) if isinstance(value, Mapping) else value
                raise ValueError(
                    f"{setting.name} must be {fault}, got {shown!r} (type: {type(value).__name__})"
                )
        self._check_timeouts()
        for name in ("data_dir", "engine_python", "include_path", "tls_cert", "tls_key"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.path.expanduser(path))  # noqa: PTH111 - a string
        for name in ("allow_path", "task_path"):
            roots = tuple(os.path.expanduser(path) for path in getattr(self, name))  # noqa: PTH111
            object.__setattr__(self, name, roots)

    @property
    def effective_timeout(self) -> float | None:
        """The time limit in seconds of a request without one."""
        return self.max_timeout if self.default_timeout is None else self.default_timeout

    def _check_timeouts(self) -> None:
        maximum = self.max_timeout
        if maximum is not None and (self.effective_timeout or 0) > maximum:
            raise ValueError(
                f"default_timeout must be at most max_timeout ({maximum:g}), got "
                f"{self.default_timeout!r} (type: {type(self.default_timeout).__name__})"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ServerArgs":
        """Build settings from a mapping; missing keys take their defaults.

        Raises ValueError for an unknown key, suggesting a similar one, and for an invalid value.
        """
        known = [setting.name for setting in fields(cls)]
        for name in map(str, values):
            if name not in known:
                raise ValueError(
                    f"unknown setting {name!r}.{did_you_mean(name, known)} "
                    f"Known settings: {', '.join(known)}"
                )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as a mapping, for JSON and ``from_dict``."""
        return asdict(self)


def command_line_settings(args: type[ServerArgs]) -> tuple[Field[Any], ...]:
    """Return the settings that have a flag and an environment variable: all but file-only ones."""
    return tuple(each for each in fields(args) if not each.metadata["only_in_file"])
