"""A server with a real harness whose tasks and packages tests may change (``HarnessOverlay``)."""

import json
import re
from pathlib import Path
from typing import Any

from tests.bench.harness_jobs import JOBS
from tests.end_to_end.harness_overlay import EDITABLE, INSTALLED, HarnessOverlay
from tests.real_harness import offline_environment
from tests.support import Json, ServerProcess, results_file, until

MODULE = "task_module.py"
"""The module of a task: what it finds is printed into the log of an evaluation."""
SEEN = f"""
import json, os, sys
from importlib.metadata import version
import {EDITABLE}, {INSTALLED}

VALUE = 1
hub = getattr(sys.modules.get("huggingface_hub.constants"), "HF_HOME", os.environ["HF_HOME"])
print("SEEN", json.dumps({{
    "module": VALUE,
    "package": [{INSTALLED}.VALUE, version("{INSTALLED}")],
    "checkout": {EDITABLE}.VALUE,
    "hub": [os.path.basename(os.environ["HF_HOME"]), os.path.basename(hub)],
}}), flush=True)
"""

TASK_FILES = {
    "lm-eval": ("capitals.yaml", "max_gen_toks: 32"),
    "lmms-eval": ("digits_vqa.yaml", "max_new_tokens: 32"),
    "inspect": ("capitals.py", "EVALUATED = 32"),
}
"""The file that defines a task, and the definition that a test edits."""
TASK_MODULES = {"lm-eval": "capitals.py", "lmms-eval": "digits_utils.py", "inspect": MODULE}
INSPECT_TASK = """
import task_module
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

EVALUATED = 32

@task
def capitals():
    question = Sample(input="What is the capital of France?", target="Paris",
                      metadata={"max_gen_toks": EVALUATED})
    return Task(dataset=[question], solver=[generate()], scorer=includes())
"""


def make_tasks(harness: str, place: Path) -> Path:
    """Write a task of the harness into a new directory; return the directory."""
    place.mkdir()
    tasks = place / "tasks"
    if harness == "inspect":
        tasks.mkdir()
        (tasks / "capitals.py").write_text(INSPECT_TASK)
        (tasks / MODULE).write_text(SEEN)
        return tasks
    source = JOBS[harness].make_tasks(place)
    if source != tasks:
        tasks.mkdir()
        for path in source.glob("*.*"):
            (tasks / path.name).write_bytes(path.read_bytes())
    name, definition = TASK_FILES[harness]
    text = (tasks / name).read_text()
    key = definition.partition(":")[0]
    (tasks / name).write_text(re.sub(rf"{key}: \d+", definition, text))
    with (tasks / TASK_MODULES[harness]).open("a") as file:
        file.write(SEEN)
    return tasks


class ChangingHarness:
    """A server with a real harness, and everything that a test changes about it."""

    def __init__(self, harness: str, place: Path) -> None:
        self.harness = harness
        self.overlay = HarnessOverlay(harness, place)
        self.tasks = make_tasks(harness, place / "first")
        self.other_tasks = make_tasks(harness, place / "second")
        self.edit_module(7, self.other_tasks)
        self.hubs = [place / name for name in ("hub", "other-hub")]
        self.request: Json = dict(JOBS[harness].request)
        engine = JOBS[harness].engine
        config = place / "evalserver.toml"
        config.write_text(
            f'[engines.other]\ntype = "{engine}"\npython = "{self.overlay.python}"\n'
            f'include_path = "{self.other_tasks}"\nwarm = "auto"\n'
            f'[env_profiles.other_hub]\nHF_HOME = "{self.hubs[1]}"\n'
        )
        self.server = ServerProcess(
            place / "data",
            *("--engine-python", str(self.overlay.python), "--default-engine", engine),
            *("--include-path", str(self.tasks), "--config", str(config), "--warm", "preload"),
            environment=offline_environment(self.hubs[0]),
        )

    def edit_task(self) -> None:
        """Edit the file that defines the task."""
        name, definition = TASK_FILES[self.harness]
        path = self.tasks / name
        assert definition in path.read_text()
        path.write_text(path.read_text().replace(definition, re.sub(r"\d+", "33", definition)))

    def edit_module(self, value: int, tasks: Path | None = None) -> None:
        """Edit the Python of the task."""
        path = (tasks or self.tasks) / TASK_MODULES[self.harness]
        assert "\nVALUE = " in path.read_text()
        path.write_text(re.sub(r"\nVALUE = \d+", f"\nVALUE = {value}", path.read_text()))

    async def evaluate(self) -> Json:
        """Run an evaluation; return its job, finished."""
        api = self.server.api
        submitted = await api.call("POST", "/evaluate?validate=false", json=self.request)
        return await api.finished(submitted["job_id"])

    async def wait_until_warm(self) -> None:
        """Wait until no parent is loading."""

        async def is_ready() -> bool:
            lines = (await self.server.api.text("/metrics")).splitlines()
            found = [line for line in lines if line.startswith("evalserver_warm_parents{")]
            ready, others = (
                sum(float(line.split()[-1]) for line in found if ("ready" in line) is wanted)
                for wanted in (True, False)
            )
            return ready > 0 and others == 0

        await until(is_ready)


def seen(job: Json) -> Json:
    """Return what the task of a finished job found: all that a test may change."""
    log = (Path(job["run_dir"]) / "eval.log").read_text()
    found: Json = json.loads(log.rpartition("SEEN ")[2].partition("\n")[0])
    written = json.dumps([results_file(job), *samples_of(job)])
    task = re.search(r'"max_(?:gen_toks|new_tokens)": (\d+)', written)
    assert task is not None, written
    return {**found, "task": int(task[1])}


def samples_of(job: Json) -> list[Any]:
    """Return the samples of a completed job, as the harness wrote them."""
    paths = sorted(Path(job["output_dir"]).rglob("*samples*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def outcome(job: Json) -> Json:
    """Return the metrics and the provenance of a finished job, without paths of its own and how it
    was started."""
    provenance = {**job["provenance"]}
    for name in ("start", "start_reason"):
        provenance.pop(name, None)
    metrics = {name: part["metrics"] for name, part in job["result"].items()}
    text = json.dumps({"metrics": metrics, "provenance": provenance})
    found: Json = json.loads(text.replace(job["job_id"], "JOB"))
    return found
