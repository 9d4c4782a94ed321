"""Sets of variables for harnesses, which requests name: the tables ``[env_profiles.NAME]`` of the
TOML file. A request never has a value, and no message here shows one."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evalserver.core.masking import MIN_SECRET_CHARACTERS
from evalserver.core.roles import Role, parse_roles
from evalserver.core.suggestions import did_you_mean
from evalserver.core.table_names import require_table_name
from evalserver.engines.engine import Engine
from evalserver.engines.environment import is_excluded
from evalserver.engines.settings import VARIABLE

ROLES_KEY = "roles"
MAX_SECRET_BYTES = 64 * 1024


class ProfileUnavailable(ValueError):
    """The variables of a profile cannot be loaded; says why."""


@dataclass(frozen=True)
class ProfileVariables:
    """The variables of a profile with their values, and those of the values that are secrets."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class EnvProfile:
    """A set of variables. ``texts`` are values, ``files`` the paths of files that contain values.

    ``roles`` are those that may name the profile in a request; None for all.
    """

    name: str
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)
    roles: frozenset[Role] | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its variables."""
        return tuple(sorted({*self.texts, *self.files}))

    def allows(self, role: Role) -> bool:
        """Whether a caller of this role may name the profile."""
        return self.roles is None or role in self.roles

    def load(self) -> ProfileVariables:
        """Read the files. Raises ProfileUnavailable, which names the variable and the file."""
        read = {variable: self._read(variable, path) for variable, path in self.files.items()}
        # A text of several lines may be printed line by line.
        lines = (line for text in read.values() for line in text.splitlines())
        secrets = tuple(dict.fromkeys([*read.values(), *lines]))
        return ProfileVariables({**self.texts, **read}, secrets)

    def _read(self, variable: str, path: str) -> str:
        try:
            value = _read_text(path)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except ValueError as error:
            reason = str(error)
        else:
            return value
        raise ProfileUnavailable(f"env_profiles.{self.name}.{variable}: the file {path} {reason}")


def read_profiles(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, EnvProfile]:
    """Parse the tables. Raises ValueError, which names the table and the key."""
    return {name: _read_profile(name, table) for name, table in tables.items()}


def check_profiles(
    tables: Mapping[str, Mapping[str, Any]], engines: Iterable[Engine]
) -> dict[str, EnvProfile]:
    """Parse the tables, and try to load every profile and every engine's default. Raises ValueError
    as ``read_profiles`` does, and for a file that cannot be read."""
    profiles = read_profiles(tables)
    for profile in profiles.values():
        profile.load()
    for engine in engines:
        reason = require_profile(engine.settings.defaults.get("env_profile"), profiles)
        if reason is not None:
            raise ValueError(f"engines.{engine.name}.defaults.env_profile: {reason}")
    return profiles


def require_profile(name: str | None, profiles: Mapping[str, EnvProfile]) -> str | None:
    """Return a sentence that says which profiles there are, unless there is this one."""
    if name is None or name in profiles:
        return None
    known = ", ".join(sorted(profiles)) or "none; an operator adds them as [env_profiles.NAME]"
    return f"There is no profile {name!r}.{did_you_mean(name, profiles)} Known profiles: {known}."


def _read_profile(name: str, table: Mapping[str, Any]) -> EnvProfile:
    require_table_name("env_profiles", name)
    roles: frozenset[Role] | None = None
    texts, files = {}, {}
    for key, value in table.items():
        where = f"env_profiles.{name}.{key}"
        if key == ROLES_KEY:
            roles = parse_roles(where, value)
        elif _require_variable(where, key) and isinstance(value, str) and "\0" not in value:
            texts[key] = value
        elif _is_file(value):
            files[key] = os.path.expanduser(value["file"])  # noqa: PTH111 - a text
        else:
            raise ValueError(f'{where} must be a text, or {{ file = "/path/of/a/file" }}')
    return EnvProfile(name, texts, files, roles)


def _require_variable(where: str, name: str) -> bool:
    if not VARIABLE.fullmatch(name):
        raise ValueError(f"{where}: not a valid name for a variable")
    if is_excluded(name):
        raise ValueError(
            f"{where}: a harness must not get this variable: it is one of the server's, of a "
            "launcher such as srun or torchrun, or of systemd"
        )
    return True


def _is_file(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {"file"} and isinstance(value["file"], str)


def _read_text(path: str) -> str:
    """Raises OSError, or ValueError if there is no value in the file."""
    # Without blocking, should it be a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(MAX_SECRET_BYTES + 1)
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"has more than {MAX_SECRET_BYTES} bytes")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if "\0" in text:
        raise ValueError("has a NUL, which no variable can have")
    if len(text) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"has fewer than {MIN_SECRET_CHARACTERS} characters, which could not be masked"
        )
    return text
