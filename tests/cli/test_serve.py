"""``evalserver serve``: its help, and its errors when it cannot start."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalserver.cli.main import main
from evalserver.settings.server_args import ServerArgs, command_line_settings
from evalserver.settings.sources import environment_name
from evalserver.system.data_dir import lock_data_dir
from evalserver.system.sockets import listen
from evalserver.version import __version__
from tests.support import WAIT_SECONDS, ServerProcess, free_port, stand_in_environment

SETTINGS = [setting.name for setting in command_line_settings(ServerArgs)]


@pytest.fixture
def port_in_use() -> Iterator[int]:
    """A port of the loopback address with a listener."""
    port = free_port()
    [listening] = listen("127.0.0.1", port)
    with closing(listening):
        yield port


def serve(*options: str, **environment: str) -> Result:
    """Run ``evalserver serve`` in this process, with options that prevent it from serving."""
    return CliRunner().invoke(main, ["serve", *options], env=environment)


def run(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a separate process that must exit by itself."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**stand_in_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )


def run_server(
    data_dir: Path, port: int, *more: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a server in a separate process that must fail to start."""
    data_dir_option = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir)]
    return run(["-m", "evalserver", "serve", *data_dir_option, *more], environment)


def test_a_misspelled_variable_is_reported(port_in_use: int, tmp_path: Path) -> None:
    misspelled = {"EVALSERVER_MAX_COMPLETED_JOB": "5", "EVALSERVER_TOKEN": "evs_x"}

    result = run_server(tmp_path / "data", port_in_use, environment=misspelled)

    assert [line for line in result.stderr.splitlines() if "Warning" in line] == [
        "Warning: the variable EVALSERVER_MAX_COMPLETED_JOB has no effect. Did you mean"
        " EVALSERVER_MAX_COMPLETED_JOBS?"
    ]


def test_a_secret_on_the_command_line_causes_a_warning_without_the_secret(
    port_in_use: int, tmp_path: Path
) -> None:
    given = ["--engine-env", "HF_TOKEN=opensesame", "--engine-env", "LEVEL=opensesame"]

    result = run_server(tmp_path / "data", port_in_use, *given)

    warnings = [line for line in result.stderr.splitlines() if "Warning" in line]
    assert len(warnings) == 1
    assert "--engine-env HF_TOKEN." in warnings[0]
    assert "opensesame" not in result.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_help_lists_every_setting_with_its_variable(setting: str) -> None:
    words = serve("--help").output.split()

    assert f"--{setting.replace('_', '-')}" in words
    assert f"[{environment_name(setting)}]" in words


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_help_describes_every_setting(setting: str) -> None:
    [description] = [each.metadata["help"] for each in fields(ServerArgs) if each.name == setting]

    assert description.endswith(".")
    assert " ".join(description.split()) in " ".join(serve("--help").output.split())


@pytest.mark.parametrize("default", ["localhost", "8000", "100", "lmms_eval_", "10.0"])
def test_the_help_shows_the_defaults(default: str) -> None:
    assert f"[default: {default}]" in " ".join(serve("--help").output.split())


def test_the_help_names_the_settings_file() -> None:
    output = serve("--help").output

    assert "--config" in output
    assert "[EVALSERVER_CONFIG]" in output


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (["--port", "0"], {}, "port must be an integer from 1 to 65535, got 0"),
        (["--port", "many"], {}, "'many' is not a valid integer"),
        (["--max-completed-jobs", "0"], {}, "max_completed_jobs must be"),
        (["--prot", "1"], {}, "No such option"),
        ([], {"EVALSERVER_PORT": "many"}, "EVALSERVER_PORT must be an integer, got 'many'"),
        (["--config", "/no/such/file"], {}, "cannot read the configuration file /no/such/file"),
        ([], {"EVALSERVER_CONFIG": "/no/such/file"}, "cannot read the configuration file"),
    ],
)
def test_an_invalid_setting_is_named_and_the_exit_code_is_2(
    options: list[str], environment: dict[str, str], message: str
) -> None:
    result = serve(*options, **environment)

    assert result.exit_code == 2
    assert message in result.output


def test_an_invalid_settings_file_is_named_and_the_exit_code_is_2(tmp_path: Path) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_text("prot = 1")

    result = serve("--config", str(config))

    assert result.exit_code == 2
    assert "unknown setting 'prot'. Did you mean 'port'?" in result.output


def test_a_port_in_use_is_a_one_line_error(tmp_path: Path, port_in_use: int) -> None:
    process = run_server(tmp_path / "data", port_in_use)

    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == (
        f"Error: cannot listen on http://127.0.0.1:{port_in_use}: "
        "the port is in use; stop the process that uses it, or choose another --port\n"
    )


def test_a_data_directory_in_use_is_a_one_line_error(data_dir: Path) -> None:
    with lock_data_dir(data_dir, "http://one:1"):
        process = run_server(data_dir, free_port())

    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith(f"Error: the data directory {data_dir} belongs to ")
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--default-engine", "lm_evl"], "Did you mean 'lm_eval'?"),
        (["--engine-python", "/no/such/python"], "/no/such/python is not an executable program"),
        (["--include-path", "/no/such/tasks"], "/no/such/tasks is not a directory"),
    ],
)
def test_an_invalid_setting_is_a_one_line_error(
    data_dir: Path, options: list[str], message: str
) -> None:
    process = run_server(data_dir, free_port(), *options)

    assert process.returncode == 1
    assert message in process.stderr
    assert process.stderr.count("\n") == 1


def test_a_data_directory_that_is_a_file_is_a_one_line_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()

    process = run_server(path, free_port())

    assert (process.returncode, process.stderr) == (1, f"Error: {path}: File exists\n")


def test_a_database_of_another_program_is_a_one_line_error(data_dir: Path) -> None:
    (data_dir / "evalserver.db").write_text("no database, only text" * 100)

    process = run_server(data_dir, free_port())

    assert process.returncode == 1
    assert process.stderr.startswith(f"Error: cannot open the database {data_dir}")
    assert process.stderr.count("\n") == 1


async def test_a_server_that_is_stopped_exits_with_0(server: ServerProcess) -> None:
    async with server:
        assert server.stop() == 0


def test_python_m_evalserver_is_the_command_line() -> None:
    process = run(["-m", "evalserver", "--version"])

    assert process.stdout == f"evalserver, version {__version__}\n"


def test_python_m_launch_server_is_the_command_serve() -> None:
    process = run(["-m", "evalserver.launch_server", "--help"])

    usage, _, explained = process.stdout.partition("\n")
    assert usage == "Usage: python -m evalserver.launch_server [OPTIONS]"
    assert explained.split() == serve("--help").output.partition("\n")[2].split()


@pytest.mark.parametrize("stderr", ["a full disk", "nobody reads it"])
async def test_a_server_keeps_working_when_its_log_cannot_be_written(
    server: ServerProcess, stderr: str
) -> None:
    server.stderr = _full_disk() if stderr == "a full disk" else _pipe_without_a_reader()
    async with server:
        job = await server.api.finished(await server.api.submit())

        assert job["status"] == "completed"
        assert server.stop() == 0


def _full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def _pipe_without_a_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


IN_A_THREAD = """
import sys, threading, time, urllib.request
from evalserver import ServerArgs, launch_server
args = ServerArgs(host="127.0.0.1", port=int(sys.argv[1]), data_dir=sys.argv[2])
thread = threading.Thread(target=launch_server, args=(args,), daemon=True)
thread.start()
while thread.is_alive():
    try:
        print(urllib.request.urlopen(f"http://127.0.0.1:{args.port}/health").status)
        break
    except OSError:
        time.sleep(0.1)
"""


def test_launch_server_also_works_in_a_thread_of_another_program(tmp_path: Path) -> None:
    process = run(["-c", IN_A_THREAD, str(free_port()), str(tmp_path / "data")])

    assert process.stdout == "200\n"
