"""Checks of the values of settings, one per kind of value."""

import ipaddress
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], str | None]
"""Returns what is allowed if the value is invalid; None if it is valid."""

MAX_TIMEOUT_SECONDS = 366 * 86400
"""A longer evaluation is a mistake."""

MIN_BODY_BYTES, MAX_BODY_BYTES = 1024, 1024**3
"""A body is held in memory while it is read."""


MIN_MEMORY_BYTES = 64 * 1024**2
"""With less, no Python with a harness starts."""


def port(value: Any) -> str | None:
    return None if is_int(value, 1, 65535) else "an integer from 1 to 65535"


def positive(value: Any) -> str | None:
    return None if is_int(value, 1) else "an integer of at least 1"


def optional_positive(value: Any) -> str | None:
    return None if value is None else positive(value)


def bytes_or_none(value: Any) -> str | None:
    return None if is_int(value, 0) else "an integer of at least 0"


def optional_url(value: Any) -> str | None:
    is_valid = value is None or (
        isinstance(value, str) and re.fullmatch(r"https?://[!-~]{1,500}", value)
    )
    return None if is_valid else "a URL such as https://eval.lab.example"


def body_bytes(value: Any) -> str | None:
    is_valid = is_int(value, MIN_BODY_BYTES, MAX_BODY_BYTES)
    return None if is_valid else f"an integer from {MIN_BODY_BYTES} to {MAX_BODY_BYTES}"


def optional_seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    is_valid = value is None or (number and 0 < value <= MAX_TIMEOUT_SECONDS)
    return None if is_valid else f"a number of seconds from above 0 to {MAX_TIMEOUT_SECONDS}"


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def gpus(value: Any) -> str | None:
    is_valid = isinstance(value, str) and (
        value in ("none", "auto") or _are_gpus([each.strip() for each in value.split(",")])
    )
    return None if is_valid else "'none', 'auto', or different indices or UUIDs such as '0,1,4'"


def _are_gpus(names: list[str]) -> bool:
    is_each_valid = all(re.fullmatch(r"[0-9]{1,4}|[A-Za-z]+-[0-9A-Za-z-]{1,64}", n) for n in names)
    return is_each_valid and len(set(names)) == len(names)


def on_shutdown(value: Any) -> str | None:
    return None if value in ("keep", "cancel") else "'keep' or 'cancel'"


def optional_memory(value: Any) -> str | None:
    is_valid = value is None or is_int(value, MIN_MEMORY_BYTES)
    return None if is_valid else f"an integer of at least {MIN_MEMORY_BYTES}"


def on_stall(value: Any) -> str | None:
    return None if value in ("warn", "fail") else "'warn' or 'fail'"


def warm(value: Any) -> str | None:
    return None if value in ("off", "auto", "preload") else "'off', 'auto' or 'preload'"


def seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and 0 <= value <= 86400 else "a number of seconds from 0 to 86400"


def share(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if number and 0 <= value <= 1 else "a number from 0 to 1"


def text(value: Any) -> str | None:
    return None if isinstance(value, str) and value and value.isprintable() else "a non-empty text"


def directory_prefix(value: Any) -> str | None:
    is_valid = isinstance(value, str) and value.isprintable() and not set(value) & set("/,'\"[]{}")
    return (
        None
        if is_valid and len(value) <= 64
        else "up to 64 characters without / , quotes, brackets"
    )


def path(value: Any) -> str | None:
    # lmms-eval splits its output path at commas outside of quotes and brackets.
    is_valid = isinstance(value, str) and value.isprintable() and not set(value) & set(",'\"[]{}")
    return None if is_valid and value else "a path without commas, quotes or brackets"


def optional_path(value: Any) -> str | None:
    return None if value is None else path(value)


def optional_file(value: Any) -> str | None:
    return None if value is None else text(value)


def optional_rate(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    is_valid = value is None or (number and 0 <= value <= 1_000_000)
    return None if is_valid else "a number of requests per second from 0 to 1000000"


def auth(value: Any) -> str | None:
    return None if value in ("auto", "token", "none") else "'auto', 'token' or 'none'"


def paths(value: Any) -> str | None:
    return _all(value, path, "paths without commas, quotes or brackets")


def host_names(value: Any) -> str | None:
    return _all(value, _host_name, "host names such as eval.lab.example, without a port")


def networks(value: Any) -> str | None:
    return _all(value, _network, "addresses or networks such as 10.0.0.7 or 10.1.0.0/16")


def variables(value: Any) -> str | None:
    return _all(
        value, _variable, "NAME or NAME=VALUE, for variables that do not begin with EVALSERVER_"
    )


def _all(values: Any, check: Check, allowed: str) -> str | None:
    is_valid = isinstance(values, tuple) and not any(check(value) for value in values)
    return None if is_valid else f"a list of {allowed}"


def _host_name(value: Any) -> str | None:
    is_valid = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value)
    return None if is_valid else _network(value)


def _network(value: Any) -> str | None:
    try:
        ipaddress.ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError:
        return "an address or a network"
    return None


def _variable(value: Any) -> str | None:
    is_valid = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(=[^\0]*)?", value)
    return None if is_valid and not value.upper().startswith("EVALSERVER_") else "a variable"


def fingerprint(value: Any) -> str | None:
    return None if value in ("quick", "full") else "'quick' or 'full'"


def tables(value: Any) -> str | None:
    is_valid = isinstance(value, Mapping) and all(
        isinstance(each, Mapping) for each in value.values()
    )
    return None if is_valid else "a table of tables, one for each name"


def is_int(value: Any, low: int, high: int = sys.maxsize) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
