"""The harness's environment: the server's, without variables that would mislead it."""

import pytest

from evalserver.engines.environment import harness_environment, is_excluded
from evalserver.engines.variables import VARIABLES, is_secret_variable
from tests.engines.variables_in_sources import key_names, site_packages, variables_read
from tests.real_harness import interpreter

HARNESSES = [
    pytest.param(environment, package, marks=pytest.mark.real_harness(environment))
    for environment, package in (
        ("lmms-eval", "lmms_eval"),
        ("lm-eval", "lm_eval"),
        ("inspect", "inspect_ai"),
        ("inspect", "openai"),
    )
]

EDITOR_AND_CI_VARIABLES = {
    "BRANCH_NAME", "CI", "CUSTOM_ENV_VAR_1", "CUSTOM_ENV_VAR_2", "GITHUB_REF_NAME", "GITHUB_SHA",
    "GIT_BRANCH", "GIT_COMMIT", "JPY_SESSION_NAME", "PYTEST_CURRENT_TEST", "PYTEST_VERSION",
    "TERM_PROGRAM", "VSCODE_CLI_REQUIRE_TOKEN", "VSCODE_CWD", "VSCODE_IPYTHON_KERNEL", "VSCODE_PID",
    "DEFER_PYDANTIC_BUILD",
}  # fmt: skip
"""What harnesses read about the editor, terminal, test or CI job around them. A server has none."""

PLACEHOLDERS = {"OAUTH_PLACEHOLDER_API_KEY", "VSCODE_CLI_REQUIRE_TOKEN"}

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
        "AZURE_API_KEY", "AZURE_ENDPOINT", "JUDGE_API_KEY", "JUDGE_BASE_URL", "JUDGE_MODEL_NAME",
        "LLM_JUDGE_URL", "OPENROUTER_API_KEY", "TOGETHER_API_KEY", "MISTRAL_API_KEY",
        "GROQ_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK", "GOOGLE_CLOUD_PROJECT",
        "DEEPSEEK_API_KEY", "PERSPECTIVE_API_KEY", "XAI_API_KEY", "CO_API_KEY", "SOCCERNET_PWD",
    ],
)  # fmt: skip
def test_keys_of_judges_and_providers_are_passed(name: str) -> None:
    assert harness_environment({name: "value"})[name] == "value"


@pytest.mark.parametrize(("environment", "package"), HARNESSES)
def test_every_variable_that_a_harness_reads_is_passed(environment: str, package: str) -> None:
    read = variables_read(site_packages(interpreter(environment)) / package)
    wanted = {name for name in read - EDITOR_AND_CI_VARIABLES if not is_excluded(name)}

    assert wanted - set(harness_environment(dict.fromkeys(wanted, "x"))) == set()


@pytest.mark.parametrize(("environment", "package"), HARNESSES)
def test_every_key_and_address_that_a_harness_names_is_passed(
    environment: str, package: str
) -> None:
    named = key_names(site_packages(interpreter(environment)) / package)
    wanted = {name for name in named - PLACEHOLDERS if not name.startswith("YOUR_")}

    assert wanted - set(harness_environment(dict.fromkeys(wanted, "x"))) == set()


@pytest.mark.parametrize(
    "name",
    [
        "AZURE_API_KEY", "JUDGE_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AZURE_STORAGE_CONNECTION_STRING", "SOCCERNET_PWD", "OPENAI_CUSTOM_HEADERS", "MSI_SECRET",
        "WATSONX_PASSWORD", "FAL_KEY", "Deepseek_API",
    ],
)  # fmt: skip
def test_values_of_keys_are_secrets(name: str) -> None:
    assert is_secret_variable(name)


def test_no_row_passes_what_is_excluded() -> None:
    names = [name for row in VARIABLES for name in row.names if not name.startswith("*")]

    assert [name for name in names if is_excluded(name)] == []


@pytest.mark.parametrize(
    "name",
    [
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
