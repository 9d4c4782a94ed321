"""Bringing a Slurm up and down on this machine, and killing its daemons in between.

Root only, since Slurm starts jobs as the users that submit them. The daemons listen on the loopback
address, read and write below one directory, and leave ``/etc`` alone: several clusters can run side
by side. Jobs see another host name than the machine's.
"""

import os
import random
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from tests.slurm_cluster import config, remnants
from tests.slurm_cluster.config import Layout, SlurmOptions
from tests.slurm_cluster.programs import SEARCH_PATH, find_program, why_no_slurm

MAX_START_SECONDS = 120.0
MAX_STOP_SECONDS = 20.0
MAX_COMMAND_SECONDS = 60.0

HOST = "localhost"
IN_OWN_HOST = ("unshare", "--uts", "sh", "-c", f'hostname {HOST} && exec "$@"', "sh")
"""Runs a daemon on a host of this name: the machine's own need not resolve, or not to loopback."""

PORTS = range(12_000, 30_000)
"""Below those that the kernel gives to clients: a daemon that was killed finds its port free."""

READY_STATES = {"idle", "mixed", "allocated", "completing"}
OUT_OF_SERVICE = ("drain", "down", "fail")
"""How the states of a node begin in which it takes no jobs until somebody resumes it."""


class SlurmFault(Exception):
    """The cluster does not do what it was asked; with the last lines of its logs."""


@cache
def why_no_cluster() -> str | None:
    """Return why no cluster comes up on this machine; None if one does. It is tried once."""
    if why := why_no_slurm():
        return why
    try:
        with SlurmCluster():
            return None
    except (SlurmFault, OSError) as fault:
        return f"Slurm DID NOT COME UP ({fault})"


@dataclass
class SlurmCluster:
    """A cluster; ``with`` starts and stops it, or ``start`` and ``stop`` do.

    Its directory is a temporary one if none is given, and is removed only then. Methods block.
    """

    options: SlurmOptions = field(default_factory=SlurmOptions)
    directory: Path | None = None

    def __post_init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._layout: Layout | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def layout(self) -> Layout:
        """Its directory, names and ports. Only between start and stop."""
        assert self._layout is not None, "the cluster was not started"
        return self._layout

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes; other clusters on this machine have others."""
        return self.layout.nodes

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which Slurm's commands speak to this cluster."""
        return {"SLURM_CONF": str(self.layout.slurm_conf)}

    @property
    def pids(self) -> dict[str, int]:
        """The pid of each daemon that runs."""
        running = self._processes.items()
        return {name: each.pid for name, each in running if each.poll() is None}

    def start(self) -> None:
        """Write the configuration, start all daemons, and wait until every node takes jobs."""
        self._layout = _choose_layout(self.directory, self.options.nodes)
        self._write_files()
        self._launch("munged", *_munge_options(self.layout))
        self._wait("munged", self.layout.munge_socket.exists)
        if self.options.accounting:
            self._start_accounting()
        self.start_slurmctld()
        for node in self.nodes:
            self.start_slurmd(node, wait=False)
        self._wait("nodes", lambda: all(map(self._is_ready, self.nodes)))

    def stop(self) -> None:
        """End all daemons and all processes of jobs. What was killed before stays so."""
        if self._layout is None:
            return
        for name in reversed(list(self._processes)):
            self._end(name)
        remnants.kill_processes(self.nodes)
        remnants.remove_cgroups(self.nodes)
        if self.directory is None:
            shutil.rmtree(self.layout.directory)
        self._layout = None

    def start_slurmctld(self, *, wait: bool = True) -> None:
        """Start the controller, and wait until it answers."""
        self._launch("slurmctld", "-D", "-f", str(self.layout.slurm_conf))
        if wait:
            self._wait("slurmctld", self.answers)

    def save_state(self) -> None:
        """Wait until the controller has written all that it knows now, which takes some seconds.

        What it has not written is lost when it is killed: jobs that it had accepted are unknown
        afterwards, and their IDs are given to others.
        """
        start = time.time()
        # It writes only after a change.
        options = ("--parsable", "--hold", "--output=/dev/null", "--wrap=true")
        self.run("scancel", self.run("sbatch", *options).strip())
        state = self.layout.directory / "state" / "job_state"
        self._wait("state", lambda: state.exists() and state.stat().st_mtime > start)

    def kill_slurmctld(self) -> None:
        """End the controller as a crash does."""
        self._kill("slurmctld")

    def start_slurmd(self, node: str, *, wait: bool = True) -> None:
        """Start the daemon of a node, and wait until the node takes jobs."""
        command = ("-D", "-N", node, "-f", str(self.layout.slurm_conf))
        self._launch("slurmd", *command, name=f"slurmd.{node}")
        if wait:
            self._wait(f"node {node}", lambda: self._is_ready(node))

    def kill_slurmd(self, node: str) -> None:
        """End the daemon of a node as a crash does. Its jobs go on."""
        self._kill(f"slurmd.{node}")

    def kill_node(self, node: str) -> None:
        """End the daemon of a node and everything that its jobs run there, as a power cut does."""
        self.kill_slurmd(node)
        remnants.kill_processes([node])

    def resume_nodes(self) -> list[str]:
        """Give back the nodes that the controller has taken out of service, as an operator does
        after killed daemons, and return why each was. Those whose daemon is down are left alone,
        and all of them while the controller does not answer."""
        whys = []
        listed = self._client("sinfo", "-h", "-N", "-o", "%N|%T|%E").stdout.splitlines()
        # Once for each partition of a node.
        for node, state, why in (line.split("|", 2) for line in sorted(set(listed))):
            if state.startswith(OUT_OF_SERVICE) and not state.endswith("*"):
                done = self._client("scontrol", "update", f"nodename={node}", "state=resume")
                whys += [why] if done.returncode == 0 else []
        return whys

    def describe_nodes(self) -> list[str]:
        """Return a line for each node: its state, and the reason if it is out of service."""
        listed = self._client("sinfo", "-h", "-N", "-o", "%N is %T (%E)")
        return sorted(set(listed.stdout.splitlines())) or [f"no answer: {listed.stderr.strip()}"]

    def answers(self) -> bool:
        """Return whether the controller answers."""
        return self._client("scontrol", "ping").returncode == 0

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """Run one of Slurm's commands, and return what it prints. Raises SlurmFault."""
        done = self._client(program, *arguments, stdin=stdin)
        if done.returncode != 0:
            raise SlurmFault(f"{program} exited {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _client(
        self, program: str, *arguments: str, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            env={**_variables(), **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_COMMAND_SECONDS,
        )

    def _write_files(self) -> None:
        layout, options = self.layout, self.options
        for name in ("state", "gpus", "munge", "log", "mariadb"):
            (layout.directory / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        gpus = [layout.directory / "gpus" / f"dev{index}" for index in range(options.gpus)]
        for gpu in gpus:
            _make_device(gpu)
        texts = {
            "slurm.conf": config.slurm_conf(layout, options),
            "cgroup.conf": config.cgroup_conf(),
            "gres.conf": config.gres_conf(gpus),
            "slurmdbd.conf": config.slurmdbd_conf(layout),
        }
        for name, text in texts.items():
            (layout.directory / name).write_text(text)
        # Slurm and munge refuse files with secrets that others could read.
        (layout.directory / "slurmdbd.conf").chmod(0o600)
        key = layout.directory / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def _start_accounting(self) -> None:
        layout = self.layout
        data, sock = layout.directory / "mariadb" / "data", f"--socket={layout.database_socket}"
        own = ("--no-defaults", "--user=root", f"--datadir={data}")
        self._setup("mariadb-install-db", *own, "--skip-test-db",
                    "--auth-root-authentication-method=socket")  # fmt: skip
        self._launch("mariadbd", *own, sock, "--skip-networking", "--innodb-buffer-pool-size=64M",
                     "--innodb-lock-wait-timeout=900", f"--pid-file={data}/pid")  # fmt: skip
        self._wait("mariadbd", layout.database_socket.exists)
        self._setup("mariadb", "--no-defaults", sock, "-e", "CREATE DATABASE slurm")
        self._launch("slurmdbd", "-D")
        clusters = ("sacctmgr", "-n", "show", "cluster")
        self._wait("slurmdbd", lambda: self._client(*clusters).returncode == 0)
        self.run("sacctmgr", "-i", "add", "cluster", "evalserver")

    def _setup(self, program: str, *arguments: str) -> None:
        with (self.layout.logs / f"{program}.out").open("ab") as output:
            subprocess.run([program, *arguments], env=_variables(), stdin=subprocess.DEVNULL,
                           stdout=output, stderr=output, check=True)  # fmt: skip

    def _launch(self, program: str, *arguments: str, name: str | None = None) -> None:
        name = name or program
        assert name not in self.pids, f"{name} runs already"
        path = find_program(program)
        assert path is not None, f"{program} is not installed"
        with (self.layout.logs / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [*IN_OWN_HOST, path, *arguments],
                env={**_variables(), **self.environment, **_database_variables(self.layout)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C ends the tests, which then stop the cluster.
                start_new_session=True,
            )

    def _kill(self, name: str) -> None:
        self._processes[name].kill()
        self._processes[name].wait()

    def _end(self, name: str) -> None:
        process = self._processes[name]
        process.terminate()
        try:
            process.wait(MAX_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill(name)

    def _is_ready(self, node: str) -> bool:
        # A state ends in a mark (*) if the node does not answer.
        done = self._client("sinfo", "-h", "-N", "-n", node, "-o", "%T")
        return bool(set(done.stdout.split()) & READY_STATES)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + MAX_START_SECONDS
        while not condition():
            ended = [name for name, each in self._processes.items() if each.poll() is not None]
            if time.monotonic() > end or what in ended:
                raise SlurmFault(f"{what} did not come up; ended: {ended}\n{self._last_lines()}")
            time.sleep(0.05)

    def _last_lines(self) -> str:
        logs = sorted(self.layout.logs.glob("*.out"))
        return "\n".join(
            f"{log.name}: {line}"
            for log in logs
            for line in log.read_text(errors="replace").splitlines()[-10:]
        )


def _choose_layout(directory: Path | None, nodes: int) -> Layout:
    place = directory or Path(tempfile.mkdtemp(prefix="slurm-"))
    # Every user of the cluster reads its configuration and reaches its munged.
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    ports = _free_ports(nodes + 2)
    return Layout(
        directory=place,
        host=HOST,
        # The cgroups of jobs have this name, and must not be those of another cluster.
        nodes=tuple(f"s{ports[0]}n{index + 1}" for index in range(nodes)),
        ctld_port=ports[0],
        dbd_port=ports[1],
        slurmd_ports=tuple(ports[2:]),
    )


def _free_ports(number: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
        if len(found) == number:
            break
    return found


def _make_device(path: Path) -> None:
    """Make another /dev/null: Slurm sets CUDA_VISIBLE_DEVICES for devices, not for files."""
    if not path.exists():
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def _variables() -> dict[str, str]:
    """The environment of a machine, without what Slurm's commands would take options from."""
    return {"PATH": SEARCH_PATH, "HOME": "/root", "LC_ALL": "C.UTF-8"}


def _database_variables(layout: Layout) -> dict[str, str]:
    """Where MariaDB's library, within slurmdbd, finds the database."""
    return {"MYSQL_UNIX_PORT": str(layout.database_socket)}


def _munge_options(layout: Layout) -> tuple[str, ...]:
    place = layout.munge_socket.parent
    return (
        "--foreground",
        # It need not be the user munge, and its directory may lie below /tmp.
        "--force",
        f"--socket={layout.munge_socket}",
        f"--key-file={place}/key",
        f"--pid-file={place}/pid",
        f"--log-file={place}/log",
        f"--seed-file={place}/seed",
    )
