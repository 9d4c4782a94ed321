"""``evalserver doctor`` on a real Slurm: what it says of executors, and that it leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import script_environment
from tests.slurm_cluster import SlurmCluster
from tests.support import WAIT_SECONDS, until

Completed = subprocess.CompletedProcess[str]

IN_OWN_MOUNTS = ("unshare", "--mount", "--propagation=private", "sh", "-c")


class Doctor:
    """Runs the command with an executor ``gpu`` and the engine ``own``, a program that does nothing
    and is the default."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.run_root = folder / "shared"
        self.run_root.mkdir()
        self._config = folder / "evalserver.toml"
        self._environment = {**script_environment(), **environment}

    def command(
        self, keys: str = "", *arguments: str, more: str = "", python: str = sys.executable
    ) -> list[str]:
        """Return the command, with these keys in the executor's table and more in the file."""
        self._config.write_text(
            f'default_engine = "own"\n{more}\n[engines.own]\ntype = "command"\n'
            f'argv = ["/bin/true"]\n[executors.gpu]\ntype = "slurm"\npoll_s = 0.2\n'
            f'python = "{python}"\nrun_root = "{self.run_root}"\n{keys}'
        )
        return [
            sys.executable, "-m", "evalserver", "doctor", "--config", str(self._config),
            *(arguments or ("gpu",)),
        ]  # fmt: skip

    def run(self, keys: str = "", *arguments: str, **others: str) -> Completed:
        """Run the command to its end."""
        return self.run_command(self.command(keys, *arguments, **others))

    def run_command(self, command: list[str]) -> Completed:
        """Run a command to its end."""
        return subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=WAIT_SECONDS
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            self.command("", *arguments),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def doctor(slurm: SlurmCluster, tmp_path: Path) -> Doctor:
    """The command, which reaches the cluster."""
    return Doctor(tmp_path, slurm.environment)


def queue(slurm: SlurmCluster) -> list[str]:
    """The names of the command's jobs that wait or run."""
    names = slurm.run("squeue", "--noheader", "--format=%j").splitlines()
    return [name for name in names if name.startswith("evalserver-doctor-")]


def wait_until_idle(slurm: SlurmCluster) -> None:
    """Wait until every node takes jobs."""
    end = time.monotonic() + WAIT_SECONDS
    while {*slurm.run("sinfo", "--noheader", "--Node", "--format=%T").split()} != {"idle"}:
        assert time.monotonic() < end
        time.sleep(0.1)


@contextmanager
def drained(slurm: SlurmCluster) -> Iterator[None]:
    """No node takes jobs during the block."""
    # One that the controller does not know yet, after a restart, cannot be resumed.
    wait_until_idle(slurm)
    nodes = f"nodename={','.join(slurm.nodes)}"
    slurm.run("scontrol", "update", nodes, "state=drain", "reason=test")
    try:
        yield
    finally:
        slurm.run("scontrol", "update", nodes, "state=resume")


@contextmanager
def short_partition_down(slurm: SlurmCluster) -> Iterator[None]:
    """The partition ``short`` starts no jobs during the block."""
    slurm.run("scontrol", "update", "partitionname=short", "state=down")
    try:
        yield
    finally:
        slurm.run("scontrol", "update", "partitionname=short", "state=up")


def wrapper(folder: Path, change: str) -> str:
    """Return a Python that makes a change before it runs a program."""
    path = folder / "python"
    code = f"import os, runpy, sys, time; {change}; runpy.run_path(sys.argv[1], {{}}, '__main__')"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$3"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.slurm
def test_an_executor_that_works_is_shown_with_cluster_node_and_user(
    doctor: Doctor, slurm: SlurmCluster
) -> None:
    result = doctor.run("", "gpu", "--json")

    [report] = json.loads(result.stdout)
    assert (result.returncode, report["works"]) == (0, True), report
    assert (report["executor"], report["version"], report["cluster"]) == (
        "gpu", "22.05", "evalserver",
    )  # fmt: skip
    assert report["node"] in slurm.nodes
    assert report["user"].endswith(f"(uid {os.getuid()})")
    assert report["gpus"] in {"0", "1"}


@pytest.mark.slurm
def test_nothing_is_left_of_the_job(doctor: Doctor, slurm: SlurmCluster) -> None:
    doctor.run()

    assert (queue(slurm), [*doctor.run_root.iterdir()]) == ([], [])


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("keys", "problem", "to_do"),
    [
        ('partition = "gpuu"\n', "Invalid partition name", "sinfo -s lists the partitions"),
        ('gres = "gpu:a100:{num_gpus}"\n', "Requested node configuration", "correct gres"),
        ('constraint = "fast"\n', "Invalid feature specification", "correct constraint"),
        ('partition = "short"\ntime = 100\n', "PartitionTimeLimit", "lower time"),
    ],
)
def test_what_the_cluster_does_not_take_is_reported_in_its_words(
    doctor: Doctor, slurm: SlurmCluster, keys: str, problem: str, to_do: str
) -> None:
    result = doctor.run(keys)

    assert result.returncode == 1
    assert "executor gpu (slurm): DOES NOT WORK" in result.stdout
    assert problem in result.stdout
    assert to_do in result.stdout
    assert (queue(slurm), [*doctor.run_root.iterdir()]) == ([], [])


@pytest.mark.slurm
def test_a_python_that_nodes_lack_is_reported(doctor: Doctor) -> None:
    result = doctor.run(python="/no/such/python")

    assert result.returncode == 1
    assert "cannot run /no/such/python" in result.stdout


@pytest.mark.slurm
def test_a_run_root_that_nodes_do_not_see_is_reported(doctor: Doctor, slurm: SlurmCluster) -> None:
    hide = f'mount -t tmpfs tmpfs {doctor.run_root} && exec "$@"'

    result = doctor.run_command([*IN_OWN_MOUNTS, hide, "sh", *doctor.command()])

    assert result.returncode == 1
    assert f"does not share {doctor.run_root} with this machine" in result.stdout
    assert "set run_root to a directory that this machine and all nodes see" in result.stdout
    assert queue(slurm) == []


@pytest.mark.slurm
def test_a_program_of_an_engine_that_nodes_lack_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "only-here").mkdir()
    program = tmp_path / "only-here" / "program"
    hide = f"mount -t tmpfs tmpfs {program.parent} && ln -s /bin/true {program}"
    command = doctor.command("", more=f'default_executor = "gpu"\n[engines.other]\ntype = "command"'
                             f'\nargv = ["{program}"]')  # fmt: skip

    result = doctor.run_command([*IN_OWN_MOUNTS, f'{hide} && exec "$@"', "sh", *command])

    assert result.returncode == 1
    assert f"lacks the program of other: {program}" in result.stdout


@pytest.mark.slurm
def test_a_job_without_a_place_is_reported_with_the_reason_and_removed(
    doctor: Doctor, slurm: SlurmCluster
) -> None:
    with drained(slurm):
        result = doctor.run("", "gpu", "--wait", "2")
        left = queue(slurm)

    assert result.returncode == 1
    assert "executor gpu (slurm): NOT KNOWN" in result.stdout
    assert "its job still waits in Slurm after 2 s" in result.stdout
    assert "DRAINED" in result.stdout
    assert "sinfo -R" in result.stdout
    assert left == []


@pytest.mark.slurm
def test_a_partition_that_is_down_is_reported_without_waiting_for_it(
    doctor: Doctor, slurm: SlurmCluster
) -> None:
    with short_partition_down(slurm):
        result = doctor.run('partition = "short"\n', "gpu", "--wait", "10000")

    assert result.returncode == 1
    assert "PartitionDown" in result.stdout


@pytest.mark.slurm
def test_a_controller_that_does_not_answer_is_reported(doctor: Doctor, slurm: SlurmCluster) -> None:
    slurm.save_state()
    slurm.kill_slurmctld()
    try:
        result = doctor.run()
    finally:
        slurm.start_slurmctld()

    assert result.returncode == 1
    assert "Slurm gives no answer: " in result.stdout
    assert "scontrol ping" in result.stdout


@pytest.mark.slurm
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_an_interrupt_removes_the_job(
    doctor: Doctor, slurm: SlurmCluster, signum: signal.Signals
) -> None:
    async def is_queued() -> bool:
        return queue(slurm) != []

    with drained(slurm):
        process = doctor.start("gpu", "--wait", "10000")
        await until(is_queued)

        process.send_signal(signum)
        process.send_signal(signum)
        _, errors = process.communicate(timeout=WAIT_SECONDS)
        left = queue(slurm)

    assert process.returncode == ExitCode.INTERRUPTED, errors
    assert (left, [*doctor.run_root.iterdir()]) == ([], [])


@pytest.mark.slurm
@pytest.mark.parametrize(
    ("change", "problem", "works"),
    [
        ("sys.version_info = (3, 6, 8)", "is Python 3.6.8 on", False),
        ("os.getuid = lambda: 7", "jobs run as uid 7 on", False),
        (
            "os.listdir = lambda: []; now = time.monotonic; time.monotonic = lambda: now() * 100",
            "does not see what this machine writes in",
            False,
        ),
        ("now = time.time; time.time = lambda: now() + 600", "s ahead of this machine's", True),
    ],
)
def test_what_is_odd_about_a_node_is_reported(
    doctor: Doctor, tmp_path: Path, change: str, problem: str, works: bool
) -> None:
    result = doctor.run("", "gpu", "--json", python=wrapper(tmp_path, change))

    [report] = json.loads(result.stdout)
    assert report["works"] == works
    assert any(problem in finding["what"] for finding in report["findings"]), report


def test_missing_commands_of_slurm_are_named_with_what_to_do(tmp_path: Path) -> None:
    result = Doctor(tmp_path, {"PATH": str(tmp_path)}).run()

    assert result.returncode == 1
    assert "not in PATH: sbatch, squeue, scancel, scontrol, sinfo" in result.stdout
    assert "install Slurm's commands" in result.stdout


def test_faults_of_tables_are_findings_beside_other_executors(tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, {"PATH": str(tmp_path)})

    result = doctor.run('[executors.bad]\ntype = "slurm"\npartitoin = "gpu"\n', "gpu", "bad")

    assert result.returncode == 1
    assert "executor gpu (slurm): DOES NOT WORK" in result.stdout
    assert "executors.bad: unknown key 'partitoin'. Did you mean 'partition'?" in result.stdout


def test_a_default_executor_without_a_table_is_reported(tmp_path: Path) -> None:
    reports = _all_reports(tmp_path, 'default_executor = "gpuu"')

    assert "Did you mean 'gpu'?" in reports["gpuu"]["findings"][0]["what"]


def test_an_executor_of_an_engine_without_a_table_is_reported(tmp_path: Path) -> None:
    reports = _all_reports(tmp_path, '[engines.other]\ntype = "command"\nargv = ["/bin/true"]\n'
                           'executor = "gpuu"')  # fmt: skip

    assert (
        "engines.other.executor: There is no executor 'gpuu'"
        in (reports["other"]["findings"][-1]["what"])
    )


def _all_reports(folder: Path, more: str) -> dict[str, Any]:
    doctor = Doctor(folder, {"PATH": f"{folder}"})
    records = json.loads(doctor.run("", "--json", more=more).stdout)
    return {each.get("engine", each.get("executor")): each for each in records}


def test_a_name_of_an_engine_and_of_an_executor_means_both(tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, {"PATH": str(tmp_path)})

    result = doctor.run('[executors.own]\ntype = "slurm"\n', "own")

    assert "own (command): ok" in result.stdout
    assert "executor own (slurm): DOES NOT WORK" in result.stdout


def test_a_name_that_is_neither_is_rejected_with_those_that_are(tmp_path: Path) -> None:
    result = Doctor(tmp_path, {}).run("", "gpuu")

    assert result.returncode == ExitCode.USAGE
    assert "executors: gpu" in result.stderr
