"""Every setting of the server: its name, default, check and help, in one table.

The command line, the environment, the TOML file and the documentation are made from this table;
adding a setting is adding a field. What a setting does lives where it is used.
"""

import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from evalserver.names import did_you_mean

ENVIRONMENT_PREFIX = "EVALSERVER_"

Check = Callable[[Any], str | None]
"""Returns what is allowed when the value is refused, None when it is accepted."""


LONGEST_TIMEOUT = 366 * 86400
"""Seconds; a year of evaluating is a mistake."""


SMALLEST_BODY, LARGEST_BODY = 1024, 1024**3
"""Bytes; a body is held in memory while it is read."""


def _default_data_dir() -> str:
    return str(Path.home() / ".local" / "share" / "evalserver")


def _port(value: Any) -> str | None:
    return None if _is_int(value, 1, 65535) else "an integer from 1 to 65535"


def _positive(value: Any) -> str | None:
    return None if _is_int(value, 1) else "an integer of at least 1"


def _body_bytes(value: Any) -> str | None:
    fine = _is_int(value, SMALLEST_BODY, LARGEST_BODY)
    return None if fine else f"an integer from {SMALLEST_BODY} to {LARGEST_BODY}"


def _optional_seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fine = value is None or (number and 0 < value <= LONGEST_TIMEOUT)
    return None if fine else f"a number of seconds from above 0 to {LONGEST_TIMEOUT}"


def _on_shutdown(value: Any) -> str | None:
    return None if value in ("keep", "cancel") else "'keep' or 'cancel'"


def _seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and 0 <= value <= 86400 else "a number of seconds from 0 to 86400"


def _share(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and 0 <= value <= 1 else "a number from 0 to 1"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value and value.isprintable() else "a non-empty text"


def _directory_prefix(value: Any) -> str | None:
    fine = isinstance(value, str) and value.isprintable() and not set(value) & set("/,'\"[]{}")
    return None if fine and len(value) <= 64 else "up to 64 characters without / , quotes, brackets"


def _path(value: Any) -> str | None:
    # lmms-eval cuts its output path at commas, and joins what quotes and brackets enclose.
    fine = isinstance(value, str) and value.isprintable() and not set(value) & set(",'\"[]{}")
    return None if fine and value else "a path without commas, quotes or brackets"


def _optional_path(value: Any) -> str | None:
    return None if value is None else _path(value)


def _is_int(value: Any, low: int, high: int = sys.maxsize) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _setting(check: Check, help_text: str, **default: Any) -> Any:
    return field(metadata={"check": check, "help": help_text}, **default)


@dataclass(frozen=True)
class ServerArgs:
    """The settings of one server.

    Raises ValueError at construction, naming the setting, the value and its type, when a value
    is not allowed.
    """

    host: str = _setting(_text, "Address to listen on.", default="localhost")
    port: int = _setting(_port, "Port to listen on.", default=8000)
    max_completed_jobs: int = _setting(
        _positive, "Finished jobs to keep; the oldest beyond it are pruned.", default=100
    )
    temp_dir_prefix: str = _setting(
        _directory_prefix,
        "Prefix of each job's directory under DATA_DIR/runs.",
        default="lmms_eval_",
    )
    data_dir: str = _setting(
        _path, "Directory of all that the server keeps.", default_factory=_default_data_dir
    )
    default_engine: str = _setting(
        _text, "Engine of a request that names none.", default="lmms_eval"
    )
    engine_python: str = _setting(
        _path,
        "Python interpreter that runs the harnesses (default: the server's own).",
        default_factory=lambda: sys.executable,
    )
    include_path: str | None = _setting(
        _optional_path, "Directory of the lab's own task definitions.", default=None
    )
    max_failed_requests: float = _setting(
        _share,
        "Share of an evaluation's requests to its model that may fail, from 0 to 1.",
        default=0.05,
    )
    cancel_grace: float = _setting(
        _seconds, "Seconds between TERM and KILL when an evaluation is stopped.", default=10.0
    )
    max_body_bytes: int = _setting(
        _body_bytes, "Largest body of a request, in bytes.", default=1024 * 1024
    )

    default_timeout: float | None = _setting(
        _optional_seconds,
        "Seconds an evaluation may take if the request does not say.",
        default=None,
    )
    max_timeout: float | None = _setting(
        _optional_seconds, "Most seconds that a request may ask for.", default=None
    )
    on_shutdown: str = _setting(
        _on_shutdown,
        "What the running evaluation does when the server stops: it goes on (keep), or cancel.",
        default="keep",
    )

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            allowed = setting.metadata["check"](value)
            if allowed is not None:
                raise ValueError(
                    f"{setting.name} must be {allowed}, got {value!r} "
                    f"(type: {type(value).__name__})"
                )
        self._check_timeouts()
        for name in ("data_dir", "engine_python", "include_path"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.path.expanduser(path))  # noqa: PTH111 - a text

    @property
    def effective_timeout(self) -> float | None:
        """The time limit in seconds of a request that names none."""
        return self.max_timeout if self.default_timeout is None else self.default_timeout

    def _check_timeouts(self) -> None:
        most = self.max_timeout
        if most is not None and (self.effective_timeout or 0) > most:
            raise ValueError(
                f"default_timeout must be at most max_timeout ({most:g}), got "
                f"{self.default_timeout!r} (type: {type(self.default_timeout).__name__})"
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ServerArgs":
        """Settings from a mapping; missing keys take their defaults.

        Raises ValueError for an unknown key, naming the nearest known one, and for a value that
        is not allowed.
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
        """All settings as a mapping that survives JSON and ``from_dict``."""
        return asdict(self)


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], config: Path | None
) -> ServerArgs:
    """Settings by precedence: command line flag, ``EVALSERVER_*`` variable, TOML file, default.

    ``flags`` holds only those that were given. Raises ValueError as ``ServerArgs`` does, and when
    the file cannot be read or is not TOML.
    """
    return ServerArgs.from_dict({**_from_file(config), **_from_environment(environment), **flags})


def environment_name(setting: str) -> str:
    """The environment variable of a setting: ``data_dir`` is ``EVALSERVER_DATA_DIR``."""
    return ENVIRONMENT_PREFIX + setting.upper()


def _from_file(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read the configuration file {config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{config} is not valid TOML: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in fields(ServerArgs):
        text = environment.get(environment_name(setting.name))
        if text is not None:
            values[setting.name] = _parse(
                environment_name(setting.name), text, number_type(setting)
            )
    return values


def number_type(setting: Field[Any]) -> type[int] | type[float] | None:
    """int or float for a setting that is a number, None for one that is a text."""
    if setting.type is int:
        return int
    return float if setting.type in (float, float | None) else None


def _parse(variable: str, text: str, kind: type[int] | type[float] | None) -> Any:
    if kind is None:
        return text
    try:
        return kind(text)
    except ValueError:
        wanted = "an integer" if kind is int else "a number"
        raise ValueError(f"{variable} must be {wanted}, got {text!r}") from None
