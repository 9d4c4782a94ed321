"""Settings: which values are valid, the error messages, and the precedence of sources."""

import json
import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalserver
from evalserver.settings.server_args import ServerArgs, command_line_settings
from evalserver.settings.sources import environment_name, load_settings

NOT_A_PORT = [0, -1, 65536, True, False, "8000", 8000.0, None, [8000], math.nan]
NOT_A_COUNT = [0, -1, True, False, "1", 1.0, None]
INVALID_VALUES: dict[str, list[Any]] = {
    "port": NOT_A_PORT,
    "max_completed_jobs": NOT_A_COUNT,
    "host": ["", None, 7, "a\nb"],
    "temp_dir_prefix": ["a/b", "a,b", "a\0b", "x" * 65, None, 1],
    "data_dir": ["", "a,b", "a\0b", None, Path("x")],
    "engine_python": ["", None],
    "default_engine": ["", None],
    "default_executor": ["", None, 1],
    "include_path": ["", "a,b", 1],
    "default_timeout": [0, -1, math.nan, "1", True],
    "max_timeout": [0, -1, math.inf, "1", True],
    "on_shutdown": ["stop", "", None],
    "max_failed_requests": [-0.1, 1.1, math.nan, "0", True, None],
    "max_body_bytes": [1023, 2**30 + 1, 2e6, "1", True, None],
    "max_output_bytes": [0, -1, 2.5, "1", True],
    "auth": ["yes", "", None, True],
    "allowed_host": ["lab", ("a b",), ("",), ("a/b",), ("a:80",), (1,), None],
    "trusted_proxy": ["10.0.0.1", ("lab",), ("10.0.0.0/33",), (1,), None],
    "tls_cert": ["", 1, "a\nb"],
    "tls_key": ["", 1, "a\nb"],
    "allow_path": ["/a", ("",), ("a,b",), (1,), None],
    "task_path": ["/a", ("",), ("a,b",), (1,), None],
    "engine_env": ["A", ("",), ("A B",), ("EVALSERVER_TOKEN",), ("1A=2",), (1,), None],
    "rate_limit": [-1, math.nan, math.inf, "1", True],
    "max_queued_jobs": NOT_A_COUNT,
    "max_queued_per_token": NOT_A_COUNT,
    "max_queued_bytes": NOT_A_COUNT,
    "max_queued_bytes_per_token": NOT_A_COUNT,
    "max_connections": NOT_A_COUNT,
    "fingerprint": ["some", "", None],
    "engines": [None, [], "x", {"lm_eval": 1}],
    "executors": [None, [], "x", {"gpu": 1}],
    "gates": [None, [], "x", {"release": 1}],
    "series": [None, [], "x", {"run": 1}],
    "env_profiles": [None, [], "x", {"JUDGE_API_KEY": "opensesame"}],
    "gpus": ["", "all", "0,,1", "0,0", "-1", 1, None],
    "max_running": [0, -1, 1.5, "1", True],
    "max_running_without_gpu": NOT_A_COUNT,
    "max_running_per_token": [0, -1, 1.5, "1", True],
    "backfill": [1, "true", None],
    "webhook_allow_network": ["10.0.0.0/8", ("lab",), (1,), None],
    "public_url": ["eval.lab.example", "ftp://a", "", "https://", 1],
    "disk_low_bytes": [-1, 1.5, "1G", True, None],
    "gpu_idle_memory": [0, -1, 1.5, "1G", True, None],
    "memory_per_job": [0, -1, 2**26 - 1, 2.5e9, "1G", True],
    "stall_after": [-1, math.nan, math.inf, "1", True, None, 86401],
    "on_stall": ["stop", "", None],
    "warm": ["on", "", None, True],
    "warm_idle_s": [-1, math.nan, math.inf, "1", True, None, 86401],
    "cancel_grace": [-1, math.nan, math.inf, "1", True, None, 86401],
}


def test_the_defaults_are_as_specified() -> None:
    args = ServerArgs()

    found = (args.host, args.port, args.max_completed_jobs, args.temp_dir_prefix)
    assert found == ("localhost", 8000, 100, "lmms_eval_")


def test_the_package_exports_the_same_class() -> None:
    assert evalserver.ServerArgs is ServerArgs


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in INVALID_VALUES.items() for value in values],
)
def test_an_error_names_the_setting_the_value_and_its_type(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be ") as error:
        ServerArgs(**{name: value})

    shown = list(value) if isinstance(value, dict) else value
    assert f"got {shown!r} (type: {type(value).__name__})" in str(error.value)


def test_every_setting_rejects_some_value() -> None:
    assert set(INVALID_VALUES) == {setting.name for setting in fields(ServerArgs)}


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_the_last_port_are_allowed(port: int) -> None:
    assert ServerArgs(port=port).port == port


@given(st.integers())
def test_a_port_outside_1_to_65535_is_rejected(port: int) -> None:
    allowed = 1 <= port <= 65535
    try:
        ServerArgs(port=port)
    except ValueError:
        assert not allowed
    else:
        assert allowed


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ServerArgs().port = 1  # type: ignore[misc]


@given(
    port=st.integers(1, 65535),
    keep=st.integers(1, 10**9),
    grace=st.floats(0, 86400),
    host=st.sampled_from(["::1", "0.0.0.0", "büro"]),  # noqa: S104
    include=st.none() | st.just("/lab/tasks"),
)
def test_settings_can_be_restored_from_json(
    port: int, keep: int, grace: float, host: str, include: str | None
) -> None:
    args = ServerArgs(host, port, max_completed_jobs=keep, cancel_grace=grace, include_path=include)

    assert ServerArgs.from_dict(json.loads(json.dumps(args.to_dict()))) == args


def test_missing_keys_have_their_defaults() -> None:
    assert ServerArgs.from_dict({"port": 1}) == ServerArgs(port=1)


def test_an_unknown_key_is_rejected_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"'prot'.* Did you mean 'port'"):
        ServerArgs.from_dict({"prot": 1})


def test_an_unknown_key_without_a_similar_one_is_rejected_with_all_known_keys() -> None:
    with pytest.raises(ValueError, match=r"'zzz'.*host, port, max_completed_jobs"):
        ServerArgs.from_dict({"zzz": 1})


def test_from_dict_checks_values_too() -> None:
    with pytest.raises(ValueError, match="port must be"):
        ServerArgs.from_dict({"port": True})


@pytest.mark.parametrize(
    ("flags", "environment", "file", "port"),
    [
        ({"port": 1}, {"EVALSERVER_PORT": "2"}, "port = 3", 1),
        ({}, {"EVALSERVER_PORT": "2"}, "port = 3", 2),
        ({}, {}, "port = 3", 3),
        ({}, {}, "", 8000),
    ],
)
def test_flags_override_variables_which_override_the_file_and_the_defaults(
    tmp_path: Path, flags: dict[str, Any], environment: dict[str, str], file: str, port: int
) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_text(file)

    assert load_settings(flags, environment, config).port == port


def test_sources_are_combined_for_each_setting(tmp_path: Path) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_text('host = "::1"\nmax_completed_jobs = 7')

    args = load_settings({"port": 1}, {"EVALSERVER_CANCEL_GRACE": "2.5"}, config)

    assert args == ServerArgs("::1", 1, 7, cancel_grace=2.5)


@pytest.mark.parametrize("setting", [setting.name for setting in command_line_settings(ServerArgs)])
def test_every_setting_has_a_variable(setting: str) -> None:
    numbers = {"port": "1", "max_completed_jobs": "2", "cancel_grace": "3"}
    timeouts = {"default_timeout": "60", "max_timeout": "90"}
    others = {"max_failed_requests": "0.5", "max_body_bytes": "2048", "on_shutdown": "cancel"}
    load = {
        "rate_limit": "4",
        "max_connections": "5",
        "max_queued_jobs": "6",
    }
    access = {"auth": "token", "trusted_proxy": "10.0.0.7", "max_queued_per_token": "7"}
    quotas = {"max_queued_bytes": "8", "max_queued_bytes_per_token": "9"}
    ours = {"fingerprint": "full", "max_output_bytes": "10"}
    stalls = {
        "gpu_idle_memory": "77",
        "memory_per_job": "99000000",
        "stall_after": "11",
        "on_stall": "fail",
        "warm": "preload",
        "warm_idle_s": "12",
    }
    slots = {
        **{"gpus": "auto", "max_running": "12", "max_running_without_gpu": "13"},
        **{"max_running_per_token": "14", "backfill": "true"},
    }
    webhooks = {
        "webhook_allow_network": "10.0.0.0/8",
        "public_url": "https://eval.lab.example",
        "disk_low_bytes": "15",
    }
    text = {
        **{**numbers, **timeouts, **others, **load, **access, **quotas, **ours},
        **{**stalls, **slots, **webhooks},
    }.get(setting, "text")

    args = load_settings({}, {f"EVALSERVER_{setting.upper()}": text}, None)

    found = getattr(args, setting)
    assert environment_name(setting) == f"EVALSERVER_{setting.upper()}"
    if isinstance(found, bool):
        assert found is (text == "true")
    elif isinstance(found, tuple):
        assert found == (text,)
    else:
        assert f"{found:{'g' if isinstance(found, float) else ''}}" == text


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    args = load_settings({}, {"EVALSERVER_ALLOW_PATH": "/a,/b"}, None)

    assert args.allow_path == ("/a", "/b")


def test_a_list_in_a_file_is_an_array(tmp_path: Path) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_text('allow_path = ["/a", "/b"]')

    assert load_settings({}, {}, config).allow_path == ("/a", "/b")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"EVALSERVER_PORT": "many"}, "EVALSERVER_PORT must be an integer, got 'many'"),
        ({"EVALSERVER_PORT": "80.5"}, "EVALSERVER_PORT must be an integer, got '80.5'"),
        ({"EVALSERVER_CANCEL_GRACE": "x"}, "EVALSERVER_CANCEL_GRACE must be a number, got 'x'"),
        ({"EVALSERVER_PORT": "0"}, "port must be an integer from 1 to 65535, got 0"),
    ],
)
def test_an_invalid_variable_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_settings({}, environment, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"port = ", "is not valid TOML"),
        (b'host = "\xff"', "is not valid TOML"),
        (b"prot = 1", "Did you mean 'port'"),
        (b"[server]\nport = 1", "unknown setting 'server'"),
        (b"port = true", "port must be .* got True"),
        (b'port = "8000"', "port must be .* got '8000'"),
    ],
)
def test_an_invalid_file_is_rejected_with_a_readable_message(
    tmp_path: Path, content: bytes, message: str
) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_bytes(content)

    with pytest.raises(ValueError, match=message):
        load_settings({}, {}, config)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_an_unreadable_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot read the configuration file .*{tmp_path.name}"):
        load_settings({}, {}, tmp_path / name)


def test_a_tilde_is_expanded_to_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/lab")

    assert ServerArgs(data_dir="~/data").data_dir == "/home/lab/data"


def test_the_default_timeout_must_not_exceed_the_maximum() -> None:
    with pytest.raises(ValueError, match=r"^default_timeout must be at most max_timeout"):
        ServerArgs(default_timeout=2, max_timeout=1)


@pytest.mark.parametrize(
    ("default", "most", "effective"), [(None, None, None), (1, None, 1), (None, 2, 2), (1, 2, 1)]
)
def test_the_maximum_timeout_is_the_default_if_no_other_is_set(
    default: float | None, most: float | None, effective: float | None
) -> None:
    assert ServerArgs(default_timeout=default, max_timeout=most).effective_timeout == effective


def test_a_setting_whose_name_is_not_a_string_is_unknown() -> None:
    with pytest.raises(ValueError, match="unknown setting '1'"):
        ServerArgs.from_dict({1: 2})  # type: ignore[dict-item]
