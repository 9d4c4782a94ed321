"""Checkpoints that the server's user may not read, or that a trainer rotates meanwhile."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import NOBODY, ServerProcess

ONLY_ROOT_CAN_BE_ANOTHER = pytest.mark.skipif(
    os.geteuid() != 0, reason="not root, so a server of another user was NOT TESTED"
)


@pytest.fixture
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that every user can enter, below others that they can enter, too."""
    place = Path("/tmp") / f"evalserver-{os.getpid()}-{tmp_path_factory.mktemp('x').name}"  # noqa: S108
    place.mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


@ONLY_ROOT_CAN_BE_ANOTHER
async def test_a_checkpoint_that_may_not_be_read_is_waited_for_and_the_queue_goes_on(
    open_to_all: Path,
) -> None:
    checkpoint = open_to_all / "checkpoint"
    checkpoint.mkdir(mode=0o700)
    data_dir = open_to_all / "data"
    data_dir.mkdir()
    os.chown(data_dir, NOBODY, NOBODY)
    options = ("--cancel-grace", "1", "--allow-path", str(open_to_all))
    async with ServerOfNobody(data_dir, *options) as server:
        waiting = await server.api.submit_unchecked(
            model_args={"pretrained": str(checkpoint)}, wait_for_path_s=3
        )
        other = await server.api.submit_unchecked()

        doomed = await server.api.finished(waiting)
        await server.api.finished(other)
        health = await server.api.call("GET", "/health")

    assert "cannot be read: Permission denied" in doomed["error"]
    assert health["status"] == "healthy"


async def test_a_checkpoint_whose_folders_come_and_go_keeps_nobody_waiting(
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


class ServerOfNobody(ServerProcess):
    """A server that runs as a user to whom nothing but its data directory belongs."""

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
    """A trainer that makes the folders of a checkpoint, and removes them, without a pause."""
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
