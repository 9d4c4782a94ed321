"""``evalserver submit``: what its options send."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalserver.core.request import REQUEST_FIELDS
from tests.cli.commands import evalserver
from tests.cli.shell import Shell
from tests.support import ServerProcess

MINIMAL = ("-m", "dummy", "-t", "mme")

SENT: dict[str, tuple[str, Any]] = {
    "model": ("--model llava", "llava"),
    "tasks": ("--tasks a,b --tasks c", ["a", "b", "c"]),
    "model_args": ("--model-args a=1,b=x -a c=true", {"a": 1, "b": "x", "c": True}),
    "num_fewshot": ("--num-fewshot 3", 3),
    "batch_size": ("--batch-size 16", 16),
    "device": ("--device cuda:1", "cuda:1"),
    "limit": ("--limit 8", 8),
    "gen_kwargs": ("--gen-kwargs temperature=0,top_p=1", "temperature=0,top_p=1"),
    "harness_args": (
        '--harness-arg apply_chat_template=true --harness-arg samples={"a":[1]} '
        "--harness-arg tags=a,b=c",
        {"apply_chat_template": True, "samples": {"a": [1]}, "tags": "a,b=c"},
    ),
    "log_samples": ("--no-log-samples", False),
    "predict_only": ("--predict-only", True),
    "num_gpus": ("--num-gpus 4", 4),
    "num_processes": ("--num-processes 2", 2),
    "stall_after_s": ("--stall-after 60", 60.0),
    "on_stall": ("--on-stall fail", "fail"),
    "output_dir": ("--output-dir /results", "/results"),
    "engine": ("--engine lm_eval", "lm_eval"),
    "priority": ("--priority -3", -3),
    "labels": ("--label run=7b -l step=100", {"run": "7b", "step": "100"}),
    "series": ("--series 7b-run3", "7b-run3"),
    "step": ("--step 100", 100),
    "on_newer": ("--on-newer supersede", "supersede"),
    "on_full": ("--on-full skip", "skip"),
    "timeout_s": ("--timeout 2h", 7200.0),
    "max_attempts": ("--max-attempts 5", 5),
    "seed": ("--seed 42", 42),
    "use_cache": ("--no-use-cache", False),
    "wait_for_path_s": ("--wait-for-path 30m", 1800.0),
    "lease": ("--lease link", "link"),
    "env_profile": ("--env-profile azure", "azure"),
    "executor": ("--executor local", "local"),
    "lmms_engine_kwargs": ("--lmms-engine-kwargs model_path=/x", {"model_path": "/x"}),
}
"""For each field of a request, the options and the value that they send."""

OTHERS: list[tuple[str, str, Any]] = [
    ("batch_size", "-b auto:4", "auto:4"),
    ("limit", "--limit 0.25", 0.25),
    ("limit", "--limit -1", -1),
    ("timeout_s", "--timeout 90", 90.0),
    ("gen_kwargs", '--gen-kwargs {"temperature":0}', {"temperature": 0}),
    ("model_args", '-a {"revision":"007","sizes":[1,2]}', {"revision": "007", "sizes": [1, 2]}),
    ("log_samples", "--log_samples", True),
    ("model_args", "--model_args a=1", {"a": 1}),
    ("num_fewshot", "--num_fewshot=0", 0),
    ("seed", "--seed 0,None,8,52", [0, None, 8, 52]),
    ("model_args", "-a x=null,y=none", {"x": None, "y": "none"}),
    ("harness_args", "--harness-arg x=007", {"x": "007"}),
    ("harness_args", "--harness_arg x=", {"x": ""}),
    ("harness_args", '--harness-arg {"x":1,"y":null}', {"x": 1, "y": None}),
]


def sent(*options: str) -> Any:
    """Return the request that ``submit`` would send."""
    result = evalserver("submit", *options, "--print-request")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("field", SENT)
def test_every_field_of_a_request_has_an_option(field: str) -> None:
    options, value = SENT[field]
    others = {"model": ["-t", "mme"], "tasks": ["-m", "dummy"]}.get(field, MINIMAL)

    assert sent(*others, *options.split())[field] == value


def test_every_field_is_covered() -> None:
    assert set(REQUEST_FIELDS) == set(SENT)


@pytest.mark.parametrize(("field", "options", "value"), OTHERS)
def test_a_value_is_sent_with_its_type(field: str, options: str, value: Any) -> None:
    assert sent(*MINIMAL, *options.split())[field] == value


def test_an_option_without_a_value_is_a_usage_error() -> None:
    result = evalserver("submit", *MINIMAL, "--harness-arg", "epochs")

    assert result.exit_code == 2
    assert "'epochs' is not name=value" in result.stderr


def test_only_given_options_are_sent() -> None:
    assert sent(*MINIMAL) == {"model": "dummy", "tasks": ["mme"]}


async def test_the_server_receives_every_field(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        job = shell.submit("-a", "value=0.25", "--limit", "8", "-l", "run=7b", "--priority", "7")
        request = shell.json("status", job)["request"]

    assert request["model_args"] == {"value": 0.25}
    assert (request["limit"], request["labels"], request["priority"]) == (8, {"run": "7b"}, 7)


async def test_a_dry_run_shows_the_command_line_of_the_server_and_queues_nothing(
    server: ServerProcess,
) -> None:
    async with server:
        shell = Shell(server.url)
        shown = shell.stdout_of("submit", *MINIMAL, "--limit", "8", "--dry-run")

        assert shell.json("jobs") == []

    assert shown.startswith("# in the directory /")
    assert "lmms_eval_launcher.py" in shown
    assert "--limit" in shown


async def test_a_dry_run_is_checked_like_a_submission(server: ServerProcess) -> None:
    async with server:
        Shell(server.url).stdout_of("tasks")
        result = Shell(server.url).run("submit", "-m", "dummy", "-t", "nothing", "--dry-run")

    assert result.returncode == 2
    assert "evalserver submit --no-validate" in result.stderr


async def test_an_unknown_task_is_queued_without_validation(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        shell.stdout_of("tasks")
        job = shell.stdout_of("submit", "-m", "dummy", "-t", "nothing", "--no-validate").strip()

        assert shell.json("status", job)["request"]["tasks"] == ["nothing"]


async def test_in_a_pipe_only_the_id_is_printed(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("submit", *MINIMAL)
        [job] = Shell(server.url).json("jobs")

    assert (result.stdout, result.stderr) == (f"{job['job_id']}\n", "")


async def test_json_prints_the_response_of_the_server(server: ServerProcess) -> None:
    async with server:
        answer = Shell(server.url).json("submit", *MINIMAL)

    assert answer["message"] == "Job queued successfully. Position in queue: 0"


async def test_json_with_wait_prints_the_finished_job(server: ServerProcess) -> None:
    async with server:
        result = Shell(server.url).run("submit", *MINIMAL, "--wait", "--json")

    assert json.loads(result.stdout)["result"]["dummy"]["metrics"]["mme"]["acc,none"] == 0.5
    assert result.stderr == ""


async def test_a_repeated_idempotency_key_creates_one_job(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        jobs = {shell.submit("--idempotency-key", "mine") for _ in range(2)}

    assert len(jobs) == 1


async def test_a_list_creates_a_job_for_each_request(server: ServerProcess, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text("- {model: dummy, tasks: mme}\n- {model: dummy, tasks: ai2d}\n")
    async with server:
        shell = Shell(server.url)
        created = shell.stdout_of("submit", "--config", config, "-l", "run=7b").split()
        jobs = shell.json("jobs", "--label", "run=7b")

    assert [job["job_id"] for job in jobs] == created[::-1]
    assert [job["request"]["tasks"] for job in jobs] == [["ai2d"], ["mme"]]


async def test_a_list_with_a_fault_queues_nothing_and_names_its_entry(
    server: ServerProcess,
) -> None:
    config = "- {model: dummy, tasks: mme}\n- {model: dummy, tasks: ../x}\n"
    async with server:
        shell = Shell(server.url)
        result = shell.run("submit", "--config", "-", "--idempotency-key", "mine", given=config)
        jobs = shell.json("jobs")

    assert result.returncode == 2
    assert "jobs.1.tasks.0" in result.stderr
    assert "nothing was changed" in result.stderr
    assert jobs == []


async def test_a_list_with_the_same_key_is_queued_once(server: ServerProcess) -> None:
    config = "- {model: dummy, tasks: mme}\n- {model: dummy, tasks: ai2d}\n"
    async with server:
        shell = Shell(server.url)
        for _ in range(2):
            shell.run("submit", "--config", "-", "--idempotency-key", "mine", given=config)
        jobs = shell.json("jobs")

    assert len(jobs) == 2


async def test_requests_are_read_one_per_line(server: ServerProcess, tmp_path: Path) -> None:
    lines = tmp_path / "jobs.jsonl"
    requests = ({"model": "dummy", "tasks": tasks} for tasks in (["mme"], "ai2d"))
    lines.write_text("\n\n".join(map(json.dumps, requests)))
    async with server:
        shell = Shell(server.url)
        created = shell.stdout_of("submit", "--config", lines).split()
        jobs = shell.json("jobs")

    assert [job["job_id"] for job in jobs] == created[::-1]
    assert len({job["batch_id"] for job in jobs}) == 1


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    lines = tmp_path / "jobs.jsonl"
    lines.write_text('{"model": "dummy", "tasks": ["mme"]}\n{\n')

    result = evalserver("submit", "--config", lines)

    assert result.exit_code == 2
    assert "jobs.jsonl, line 2: it is not JSON" in result.stderr


async def test_a_sweep_queues_a_job_for_each_combination(server: ServerProcess) -> None:
    sweeps = ("--sweep", "tasks=mme,ai2d", "--sweep", "model_args.value=0.25,0.75")
    async with server:
        shell = Shell(server.url)
        created = shell.stdout_of("submit", "-m", "dummy", *sweeps).split()
        jobs = shell.json("jobs")[::-1]

    assert [job["job_id"] for job in jobs] == created
    assert [(job["request"]["tasks"], job["request"]["model_args"]) for job in jobs] == [
        (["mme"], {"value": 0.25}),
        (["mme"], {"value": 0.75}),
        (["ai2d"], {"value": 0.25}),
        (["ai2d"], {"value": 0.75}),
    ]


async def test_a_dry_run_of_a_sweep_prints_its_requests(server: ServerProcess) -> None:
    sweep = ("--sweep", "labels.run=1,2", "--dry-run")
    async with server:
        shell = Shell(server.url)
        shown = shell.stdout_of("submit", *MINIMAL, *sweep).splitlines()
        jobs = shell.json("jobs")

    assert [json.loads(line)["labels"] for line in shown] == [{"run": "1"}, {"run": "2"}]
    assert jobs == []


@pytest.mark.parametrize(
    ("sweep", "sent"),
    [
        ("limit=1,0.5", {"limit": [1, 0.5]}),
        ("tasks=a,b", {"tasks": [["a"], ["b"]]}),
        ('tasks=[["a","b"],["c"]]', {"tasks": [["a", "b"], ["c"]]}),
        ("labels.run=1,2", {"labels.run": ["1", "2"]}),
        ("model=1,b", {"model": ["1", "b"]}),
        ("model_args.x=true,y", {"model_args.x": [True, "y"]}),
    ],
)
def test_the_values_of_a_sweep_have_the_types_of_their_field(sweep: str, sent: Any) -> None:
    result = evalserver("submit", *MINIMAL, "--sweep", sweep, "--print-request")

    assert json.loads(result.stdout)["over"] == sent


@pytest.mark.parametrize("sweep", ["limit", "=1", "limit=", "limit=[1", "limit=[1]x"])
def test_a_malformed_sweep_is_rejected(sweep: str) -> None:
    result = evalserver("submit", *MINIMAL, "--sweep", sweep, "--print-request")

    assert result.exit_code == 2
