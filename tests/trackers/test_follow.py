"""The command ``evalserver follow``: outages, kills, signals and options."""

import signal
from pathlib import Path

import pytest

from evalserver.cli.exit_codes import ExitCode
from tests.support import WAIT_SECONDS, ServerProcess, until
from tests.trackers.conftest import KEPT, MakeFollow
from tests.trackers.following import Follow, assert_each_once, count_lines, rows_of, steps_of
from tests.trackers.history import complete_jobs


@pytest.fixture
def follow(make_follow: MakeFollow, file: Path) -> Follow:
    """The command that writes the file."""
    return make_follow("--to", "jsonl", "--file", file)


async def until_there(file: Path, lines: int) -> None:
    """Wait until the file is there with so many lines."""

    async def there() -> bool:
        return count_lines(file) >= lines

    await until(there)


async def test_every_number_comes_once_through_kills_of_follower_and_server(
    server: ServerProcess, follow: Follow, file: Path
) -> None:
    def count() -> int:
        return count_lines(file)

    numbers = await complete_jobs(server.data_dir, range(300), keep=KEPT)
    async with server:
        follow.kill_often(1, count, end=300)
        follow.kill_often(1, count, end=300, meanwhile=server.kill)
        numbers |= await complete_jobs(server.data_dir, range(300, 500), keep=KEPT)
        await server.start()
        follow.kill_often(1, count, end=500)
        follow.once()

    assert_each_once(file, numbers)


async def test_it_waits_for_a_server_sends_what_finishes_and_ends_on_term(
    server: ServerProcess, follow: Follow, file: Path
) -> None:
    process = follow.start("--retry-for", "0")
    assert process.stderr is not None
    assert "does not answer" in process.stderr.readline()
    async with server:
        await server.api.submit(step=1)
        await until_there(file, lines=1)
        rotated = file.rename(file.with_suffix(".1"))
        await server.api.submit(step=2)
        await until_there(file, lines=1)
        second = follow.run("--once")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=WAIT_SECONDS)

    assert (process.returncode, said.splitlines()[-1]) == (0, "2 jobs sent")
    # A file that was moved away, as log rotation does, is begun again.
    assert (steps_of(rotated), steps_of(file)) == ([1], [2])
    assert (second.returncode, f"pid {process.pid}," in second.stderr) == (ExitCode.USAGE, True)


async def test_a_token_that_the_server_does_not_take_ends_it(tmp_path: Path, file: Path) -> None:
    async with ServerProcess(tmp_path / "data", "--auth", "token") as server:
        done = Follow(server.url, tmp_path, "--to", "jsonl", "--file", file).run()

    assert (done.returncode, "EVALSERVER_TOKEN" in done.stderr) == (ExitCode.USAGE, True)


def test_once_gives_up_when_the_server_is_down(tmp_path: Path, file: Path) -> None:
    follow = Follow("http://127.0.0.1:1", tmp_path, "--to", "jsonl", "--file", file)

    done = follow.run("--once", "--retry-for", "0")

    assert (done.returncode, rows_of(file)) == (ExitCode.UNREACHABLE, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "jsonl"), "--to jsonl needs --file"),
        (("--to", "wandb"), "--to wandb needs --project"),
        (("--to", "tensorboard"), "--to tensorboard needs --dir"),
        (("--to", "mlflow", "--file", "x"), "--to mlflow does not take --file"),
        (("--to", "jsonl", "--file", "x", "--from-start", "--from-now"), "exclude each other"),
        (("--to", "mlflow"), "pip install 'evalserver[mlflow]'"),
    ],
)
def test_options_that_do_not_fit_and_missing_packages_are_named(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = Follow("http://127.0.0.1:1", tmp_path, *options).run()

    assert (done.returncode, message in done.stderr) == (ExitCode.USAGE, True)
