"""Evaluations on a real Slurm whose directory reaches the server by sshfs, with its cache on.

The nodes have the directory itself; the server has it mounted over the same path, in a mount
namespace of its own, from an SSH server on loopback. By default sshfs believes what it knows of a
file for 20 seconds: what the server reads is stale in the way of a network file system.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.slurm_cluster import SlurmCluster
from tests.support import WAIT_SECONDS, ServerProcess, free_port, stand_in_environment, until

pytestmark = [pytest.mark.slurm, pytest.mark.sshfs]

CACHE_SECONDS = 20
"""For how long sshfs believes what it knows of a file, unless that is opened again."""

MOUNT = """
sshfs -f -o cache=yes,port="$PORT",IdentityFile="$KEYS/client",StrictHostKeyChecking=no \\
    -o UserKnownHostsFile=/dev/null root@127.0.0.1:"$SHARED" "$SHARED" &
echo $! > "$KEYS/sshfs.pid"
for _ in $(seq 300); do
    if mountpoint -q "$SHARED"; then exec "$@"; fi
    sleep 0.1
done
exit 99
"""


def why_no_sshfs() -> str | None:
    """Why this machine cannot mount a directory by sshfs; None if it can."""
    for program in ("sshfs", "/usr/sbin/sshd", "ssh-keygen", "unshare"):
        if shutil.which(program) is None:
            return f"there is no {program} (apt install sshfs openssh-server)"
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        return "/dev/fuse cannot be used"
    return None


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """The directory that the nodes have, and that the server mounts."""
    path = tmp_path / "shared"
    path.mkdir()
    return path


@pytest.fixture
def mount(tmp_path: Path, shared: Path) -> Iterator[tuple[str, ...]]:
    """A command that runs another one where the directory is mounted by sshfs."""
    if why := why_no_sshfs():
        pytest.skip(why)
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "client"):
        make = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name))
        subprocess.run(make, check=True)
    port = free_port()
    (keys / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\n"
        f"AuthorizedKeysFile {keys}/client.pub\nPermitRootLogin yes\nStrictModes no\n"
        "UsePAM no\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd requires it
    variables = (f"PORT={port}", f"KEYS={keys}", f"SHARED={shared}")
    with (keys / "sshd.log").open("wb") as log:
        sshd = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(keys / "sshd_config")], stderr=log
        )
        try:
            _wait_until_it_listens(port)
            yield ("unshare", "--mount", "env", *variables, "sh", "-c", MOUNT, "sh")
        finally:
            _end(keys / "sshfs.pid")
            sshd.terminate()
            sshd.wait()


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)


def _end(pid_file: Path) -> None:
    if pid_file.exists():
        pid = int(pid_file.read_text())
        if Path(f"/proc/{pid}/cmdline").exists():
            os.kill(pid, 15)


@pytest.fixture
def server(
    slurm: SlurmCluster, tmp_path: Path, data_dir: Path, shared: Path, mount: tuple[str, ...]
) -> ServerProcess:
    """A server that sees the run directories of its cluster by sshfs."""
    config = tmp_path / "evalserver.toml"
    config.write_text(f'[executors.cluster]\ntype = "slurm"\npoll_s = 0.5\nrun_root = "{shared}"\n')
    options = ("--config", str(config), "--default-executor", "cluster")
    environment = {**stand_in_environment(), **slurm.environment}
    server = ServerProcess(data_dir, *options, environment=environment)
    server.wrapper = mount
    return server


async def test_a_job_runs_there_and_its_results_are_read(server: ServerProcess) -> None:
    async with server:
        job = await server.api.finished(await server.api.submit(log_samples=True))
        files = await server.api.call("GET", f"/jobs/{job['job_id']}/artifacts")

    assert job["status"] == "completed", job["error"]
    assert files["artifacts"]


async def test_results_are_read_although_the_cache_has_the_directory_without_them(
    server: ServerProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    async with server:
        job_id = await server.api.submit(model_args={"until": str(gate)})
        await server.api.when(job_id, "running")
        before = await server.api.call("GET", f"/jobs/{job_id}/artifacts")

        gate.touch()

        job = await server.api.finished(job_id)
    assert before["artifacts"] == []
    assert job["status"] == "completed", job["error"]


async def test_new_lines_of_a_log_are_read_before_the_cache_has_expired(
    server: ServerProcess,
) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "hang"})
        await server.api.when(job_id, "running")
        log = Path((await server.api.job(job_id))["run_dir"]) / "eval.log"

        async def is_cached() -> bool:
            return bool(await server.api.text(f"/jobs/{job_id}/log"))

        await until(is_cached)
        with log.open("a") as file:
            file.write("a line from the node\n")
        written = time.monotonic()

        async def is_read() -> bool:
            return "from the node" in await server.api.text(f"/jobs/{job_id}/log")

        await until(is_read)
        late = time.monotonic() - written
        await server.api.call("DELETE", f"/jobs/{job_id}")
        job = await server.api.finished(job_id)

    assert job["status"] == "cancelled"
    assert late < CACHE_SECONDS


async def test_a_job_is_cancelled_there(server: ServerProcess) -> None:
    async with server:
        job_id = await server.api.submit(model_args={"behave": "stubborn"})
        await server.api.when(job_id, "running")

        await server.api.call("DELETE", f"/jobs/{job_id}")

        assert (await server.api.finished(job_id))["status"] == "cancelled"
