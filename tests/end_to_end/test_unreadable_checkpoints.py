"""Checkpoints that the server's user cannot read, or that a trainer rotates concurrently."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import NOBODY, ServerProcess


def _can_run_as_nobody() -> bool:
    """Whether this test may start a server as another user, who can read its code."""
    python = Path(sys.executable)
    parents = (*python.parents, *python.resolve().parents, *Path(__file__).parents)
    return os.geteuid() == 0 and all(each.stat().st_mode & stat.S_IXOTH for each in parents)


requires_another_user = pytest.mark.skipif(
    not _can_run_as_nobody(),
    reason="not root, or in a directory that is closed to others: another user was NOT TESTED",
)


@pytest.fixture
def public_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that every user can access, along with its parents."""
    place = Path("/tmp") / f"evalserver-{os.getpid()}-{tmp_path_factory.mktemp('x').name}"  # noqa: S108
    place.mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


@requires_another_user
async def test_an_unreadable_checkpoint_is_waited_for_and_the_queue_continues(
    public_dir: Path,
) -> None:
    checkpoint = public_dir / "checkpoint"
    checkpoint.mkdir(mode=0o700)
    data_dir = public_dir / "data"
    data_dir.mkdir()
    os.chown(data_dir, NOBODY, NOBODY)
    options = ("--cancel-grace", "1", "--allow-path", str(public_dir))
    async with UnprivilegedServer(data_dir, *options) as server:
        waiting = await server.api.submit_unchecked(
            model_args={"pretrained": str(checkpoint)}, wait_for_path_s=3
        )
        other = await server.api.submit_unchecked()

        failed = await server.api.finished(waiting)
        await server.api.finished(other)
        health = await server.api.call("GET", "/health")

    assert "cannot be read: Permission denied" in failed["error"]
    assert health["status"] == "healthy"


async def test_a_checkpoint_that_is_constantly_rotated_blocks_no_job(
    server: ServerProcess, tmp_path: Path
) -> None:
    async with server:
        with rotating(tmp_path / "checkpoint"):
            waiting = await server.api.submit_unchecked(
                model_args={"pretrained": str(tmp_path / "checkpoint")}, wait_for_path_s=3
            )
            other = await server.api.submit_unchecked()
            await server.api.finished(waiting)
            await server.api.finished(other)
        health = await server.api.call("GET", "/health")

    assert health["status"] == "healthy"


class UnprivilegedServer(ServerProcess):
    """A server that runs as a user who owns nothing but its data directory."""

    def launch(self) -> None:
        """Start the server as that user."""
        command = [sys.executable, "-m", "evalserver", "serve", "--host", "127.0.0.1"]
        places = ["--port", str(self.port), "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *places, *self._options],
                env={**self._environment, "HOME": str(self.data_dir)},
                user=NOBODY,
                group=NOBODY,
                extra_groups=(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


@contextmanager
def rotating(checkpoint: Path) -> Iterator[None]:
    """A trainer that continuously creates and removes the directories of a checkpoint."""
    over = threading.Event()

    def rotate() -> None:
        while not over.is_set():
            for number in range(20):
                (checkpoint / f"shard-{number}" / "part").mkdir(parents=True, exist_ok=True)
            shutil.rmtree(checkpoint, ignore_errors=True)

    trainer = threading.Thread(target=rotate)
    trainer.start()
    try:
        yield
    finally:
        over.set()
        trainer.join()
