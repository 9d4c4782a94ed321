"""The harness's environment: the server's, without variables that would mislead it."""

import pytest

from evalserver.engines.environment import harness_environment

MISLEADING = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "NODE_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "PMI_RANK",
    "PMIX_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "MV2_COMM_WORLD_RANK",
    "MPI_LOCALRANKID",
    "MPI_LOCALNRANKS",
    "ACCELERATE_USE_FSDP",
)


@pytest.mark.parametrize("name", MISLEADING)
def test_variables_of_distributed_ranks_are_removed(name: str) -> None:
    assert name not in harness_environment({name: "1"})


@pytest.mark.parametrize(
    "name",
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"],
)
def test_variables_set_by_systemd_are_removed(name: str) -> None:
    assert name not in harness_environment({name: "1"})


def test_the_servers_settings_are_removed() -> None:
    assert "EVALSERVER_TOKEN" not in harness_environment({"EVALSERVER_TOKEN": "secret"})


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HF_HOME", "HF_TOKEN", "CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "OPENAI_API_KEY",
        "PYTHONPATH", "LC_ALL", "https_proxy", "NO_PROXY", "TORCH_HOME", "LMMS_EVAL_LOG",
    ],
)  # fmt: skip
def test_variables_that_harnesses_read_are_passed(name: str) -> None:
    assert harness_environment({name: "value"})[name] == "value"


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "DATABASE_PASSWORD",
        "GITHUB_TOKEN",
        "SSH_AUTH_SOCK",
        "XPATH",
        "MINE",
    ],
)
def test_other_variables_are_not_passed(name: str) -> None:
    assert name not in harness_environment({name: "value"})


@pytest.mark.parametrize(
    ("named", "given"),
    [("MINE", {"MINE": "1"}), ("MINE=2", {"MINE": "2"}), ("MINE=", {"MINE": ""}), ("ABSENT", {})],
)
def test_the_operator_can_pass_more_variables(named: str, given: dict[str, str]) -> None:
    found = harness_environment({"MINE": "1"}, [named])

    assert {name: found[name] for name in found if name in ("MINE", "ABSENT")} == given


def test_the_operator_cannot_pass_the_servers_settings() -> None:
    server = {"EVALSERVER_TOKEN": "secret"}

    assert "EVALSERVER_TOKEN" not in harness_environment(server, ["EVALSERVER_TOKEN"])


@pytest.mark.parametrize("server", [{}, {"PYTHONUNBUFFERED": ""}])
def test_output_is_unbuffered_so_that_the_log_is_up_to_date(server: dict[str, str]) -> None:
    assert harness_environment(server)["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize(("server", "seconds"), [({}, "2"), ({"TQDM_MININTERVAL": "30"}, "30")])
def test_bars_are_drawn_rarely_unless_the_operator_overrides_it(
    server: dict[str, str], seconds: str
) -> None:
    assert harness_environment(server)["TQDM_MININTERVAL"] == seconds


def test_the_servers_environment_is_not_changed() -> None:
    server = {"RANK": "0"}

    harness_environment(server)

    assert server == {"RANK": "0"}
