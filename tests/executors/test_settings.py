"""Executor tables: what is allowed, and the messages for what is not."""

from pathlib import Path
from typing import Any

import pytest

from evalserver.core.roles import Role
from evalserver.executors.settings import ExecutorSettings, read_executors, require_executor
from evalserver.executors.slurm.options import SlurmOptions

SLURM = {"type": "slurm"}
SECRET = "hf_" + "0123456789" * 3


def slurm(**keys: Any) -> dict[str, Any]:
    """Return a table of a Slurm cluster."""
    return {**SLURM, **keys}


def read(name: str, table: Any) -> ExecutorSettings:
    """Return the settings of a table."""
    return read_executors({name: table}, Path("/data/runs"))[name]


def rejection(name: str, table: Any) -> str:
    """Return the error message for a table."""
    with pytest.raises(ValueError, match=r".") as raised:
        read(name, table)
    return str(raised.value)


def test_the_servers_machine_needs_no_table() -> None:
    assert read_executors({}, Path("/data")) == {"local": ExecutorSettings("local")}


def test_the_servers_machine_comes_first() -> None:
    assert list(read_executors({"gpu": SLURM, "local": {}}, Path("/data"))) == ["local", "gpu"]


def test_the_servers_machine_can_require_a_role() -> None:
    local = read("local", {"roles": ["admin"]})

    assert (local.allows(Role.ADMIN), local.allows(Role.SUBMITTER)) == (True, False)


def test_a_table_without_roles_is_for_everybody() -> None:
    assert read("gpu", SLURM).allows(Role.VIEWER)


def test_a_short_table_leaves_the_rest_to_the_site() -> None:
    options = read("gpu", SLURM).slurm

    assert options == SlurmOptions(Path("/data/runs"))
    assert options is not None
    assert (options.gres, options.poll_s, options.max_handed_over) == ("gpu:{num_gpus}", 2.0, 100)


def test_every_key_of_a_table_is_used(tmp_path: Path) -> None:
    table = {
        "partition": "gpu",
        "account": "lab",
        "qos": "high",
        "constraint": "a100|h100",
        "gres": "gpu:a100:{num_gpus}",
        "cpus_per_gpu": 8,
        "mem": "64G",
        "time": "1-12:30",
        "sbatch_args": ["--exclusive", "--nice=10"],
        "python": "/opt/python3.11/bin/python3",
        "poll_s": 5,
        "max_handed_over": 7,
        "max_silence_s": 300,
        "run_root": str(tmp_path),
        "roles": ["submitter", "admin"],
    }

    assert read("gpu", slurm(**table)) == ExecutorSettings(
        "gpu",
        frozenset({Role.SUBMITTER, Role.ADMIN}),
        SlurmOptions(
            run_root=tmp_path,
            partition="gpu",
            account="lab",
            qos="high",
            constraint="a100|h100",
            gres="gpu:a100:{num_gpus}",
            cpus_per_gpu=8,
            mem="64G",
            time_minutes=36 * 60 + 30,
            sbatch_args=("--exclusive", "--nice=10"),
            python="/opt/python3.11/bin/python3",
            poll_s=5,
            max_handed_over=7,
            max_silence_s=300,
        ),
        tmp_path,
    )


def test_a_cluster_may_be_without_gres() -> None:
    options = read("cpu", slurm(gres="")).slurm

    assert options is not None
    assert options.gres_for(4) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "executors.a.type must be 'local' or 'slurm', has none"),
        ({"type": "slrum"}, "executors.a.type must be 'local' or 'slurm', got 'slrum'. Did you"),
        ({"type": 1}, "executors.a.type must be 'local' or 'slurm', got 1"),
        ({"type": ["slurm"]}, "must be 'local' or 'slurm', got ['slurm']"),
        ({"type": "local"}, "the executor 'local', and no other, is of type 'local'"),
        (slurm(partitoin="x"), "executors.a: unknown key 'partitoin'. Did you mean 'partition'"),
        (slurm(command="x"), "Known keys of type 'slurm': type, partition, account"),
        (slurm(partition=""), "executors.a.partition must be a non-empty text, got ''"),
        (slurm(account=7), "executors.a.account must be a non-empty text, got 7"),
        (slurm(qos="a\nb"), "executors.a.qos must be a non-empty text"),
        (slurm(constraint=[]), "executors.a.constraint must be a non-empty text, got []"),
        (slurm(gres="gpu:1"), "executors.a.gres must be a text with {num_gpus}, such as"),
        (slurm(gres="gpu:{n}:{num_gpus}"), "executors.a.gres must be a text with {num_gpus}"),
        (slurm(gres=1), "executors.a.gres must be"),
        (slurm(cpus_per_gpu=0), "executors.a.cpus_per_gpu must be an integer of at least 1, got 0"),
        (slurm(cpus_per_gpu=True), "executors.a.cpus_per_gpu must be an integer of at least 1"),
        (slurm(mem="lots"), "executors.a.mem must be memory as Slurm takes it, such as '64G'"),
        (slurm(mem=-1), "executors.a.mem must be"),
        (slurm(time="soon"), "executors.a.time must be a number of minutes above 0, or a time"),
        (slurm(time=0), "executors.a.time must be"),
        (slurm(time="00:00:00"), "executors.a.time must be"),
        (slurm(time=1.5), "executors.a.time must be"),
        (slurm(sbatch_args="--nice"), "executors.a.sbatch_args must be a list of texts, got"),
        (slurm(sbatch_args=[1]), "executors.a.sbatch_args must be a list of texts, got [1]"),
        (slurm(python="python3"), "executors.a.python must be an absolute path"),
        (slurm(poll_s=0), "executors.a.poll_s must be a number of seconds from above 0 to 3600"),
        (slurm(poll_s=float("nan")), "executors.a.poll_s must be"),
        (slurm(poll_s="2"), "executors.a.poll_s must be"),
        (slurm(max_handed_over=0), "executors.a.max_handed_over must be an integer of at least 1"),
        (slurm(max_silence_s=29), "executors.a.max_silence_s must be a number of seconds from 30"),
        (slurm(max_silence_s=1e9), "executors.a.max_silence_s must be a number of seconds"),
        (slurm(run_root="shared/runs"), "executors.a.run_root must be an absolute path"),
        (slurm(run_root="/no/such"), "executors.a.run_root must be an existing directory"),
        (slurm(run_root=1), "executors.a.run_root must be an absolute path"),
        (
            slurm(roles=["root"]),
            "executors.a.roles must be a list of roles, from viewer, submitter",
        ),
        (slurm(roles="admin"), "executors.a.roles must be a list of roles"),
        (slurm(roles=[]), "executors.a.roles must be a list of roles"),
    ],
)
def test_an_invalid_table_is_rejected_with_a_readable_message(table: Any, message: str) -> None:
    assert message in rejection("a", table)


@pytest.mark.parametrize(
    "option",
    ["--job-name=x", "--output=x", "--export=ALL", "--requeue", "--wrap=true", "--array=1-9", "-J"],
)
def test_an_option_that_evalserver_sets_itself_is_rejected(option: str) -> None:
    assert "is not allowed" in rejection("a", slurm(sbatch_args=[option]))


def test_a_secret_is_rejected_and_not_shown() -> None:
    message = rejection("a", slurm(sbatch_args=[f"--comment={SECRET}"]))

    assert "executors.a.sbatch_args must be without keys and passwords" in message
    assert SECRET not in message


@pytest.mark.parametrize("name", ["", "a b", "-x", "1", "a/b", "x" * 65])
def test_an_invalid_name_is_rejected(name: str) -> None:
    assert "executors: " in rejection(name, SLURM)
    assert "is not a valid name" in rejection(name, SLURM)


def test_the_servers_machine_cannot_become_a_cluster() -> None:
    assert "executors.local.type" in rejection("local", SLURM)


def test_the_servers_machine_has_no_partition() -> None:
    message = rejection("local", {"partition": "gpu"})

    assert "executors.local: unknown key 'partition'" in message
    assert "Known keys of type 'local': type, roles" in message


def test_an_unknown_executor_is_answered_with_those_there_are() -> None:
    executors = read_executors({"gpu": SLURM}, Path("/data"))

    assert require_executor("gpu", executors) is None
    assert require_executor("gpus", executors) == (
        "There is no executor 'gpus'. Did you mean 'gpu'? Known executors: local, gpu."
    )
