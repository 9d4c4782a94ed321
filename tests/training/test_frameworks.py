"""The adapters with the real frameworks: the examples, through a dead server and a killed run."""

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.real_harness import interpreter
from tests.support import WAIT_SECONDS, ServerProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "training"

DIE = 'import os, signal; print("dies", flush=True); os.kill(os.getpid(), signal.SIGKILL)'

HUGGING_FACE_OTHER = """
from transformers import TrainerCallback

class Other(TrainerCallback):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == 5 and "DIES" in __import__("os").environ:
            DIE

    def on_train_end(self, args, state, control, **_):
        print("the others are closed", flush=True)

def main(
"""

LIGHTNING_OTHER = """
from lightning.pytorch import Callback

class Other(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 5 and "DIES" in __import__("os").environ:
            DIE

def main(
"""


@dataclass(frozen=True)
class Example:
    """An example, what is put into it, what it prints of each metric, and at which steps."""

    script: str
    metric: str
    steps: tuple[int, ...]
    changes: Mapping[str, str] = field(default_factory=dict)

    def written_to(self, folder: Path) -> Path:
        """Return the path of the example with the changes."""
        code = (EXAMPLES / self.script).read_text()
        for old, new in self.changes.items():
            assert code.count(old) == 1, f"{self.script} has not one {old!r}"
            code = code.replace(old, new.replace("DIE\n", f"{DIE}\n"))
        script = folder / self.script
        script.write_text(code)
        return script


HUGGING_FACE = Example(
    "huggingface_trainer.py",
    r"^step (\d+): mme/acc = 0.5$",
    (2, 4, 6),
    {
        "\ndef main(": HUGGING_FACE_OTHER.rstrip("\n"),
        "    trainer.add_callback(\n": (
            "    trainer.add_callback(Other())\n    trainer.add_callback(\n"
        ),
    },
)
LIGHTNING = Example(
    "lightning_trainer.py",
    r"^,0\.5,0\.01,,(\d+)$",
    (2, 4, 6, 8),
    {
        "\ndef main(": LIGHTNING_OTHER.rstrip("\n"),
        "        callbacks=[\n": "        callbacks=[\n            Other(),\n",
    },
)
PYTORCH = Example(
    "plain_pytorch.py",
    r"^step (\d+): mme/acc = 0.5$",
    (10, 20, 30, 40),
    {
        'on_newer="supersede",': "",
        "            train_one_step(model, optimizer)\n": (
            "            train_one_step(model, optimizer)\n"
            "            if step == 25 and 'DIES' in __import__('os').environ:\n"
            "                DIE\n"
        ),
    },
)


async def run(script: Path, url: str, **variables: str) -> tuple[int, str]:
    """Run a script in the environment of the frameworks; return its exit code and output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EVALSERVER_URL": url, **variables}
    done = await asyncio.to_thread(
        subprocess.run,
        [interpreter("layers/trainers"), script, script.parent / "run1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT_SECONDS,
    )
    return done.returncode, done.stdout


@pytest.mark.real_harness("layers/trainers")
@pytest.mark.parametrize(
    "example", [HUGGING_FACE, LIGHTNING, PYTORCH], ids=lambda each: each.script
)
async def test_every_checkpoint_is_evaluated_although_server_and_run_were_away(
    example: Example, server: ServerProcess, tmp_path: Path
) -> None:
    script = example.written_to(tmp_path)

    _, killed = await run(script, server.url, DIES="1")  # there is no server yet
    assert killed.rstrip().endswith("dies"), killed
    assert len(re.findall("submitted later", killed)) == 1, killed
    async with server:
        code, output = await run(script, server.url)
        jobs = (await server.api.call("GET", "/jobs"))["jobs"]

    assert code == 0, output
    assert sorted(map(int, re.findall(example.metric, output, re.MULTILINE))) == [*example.steps]
    assert sorted(job["step"] for job in jobs) == [*example.steps]
    # Other callbacks close their files and runs when the training ends.
    assert "eval_mme" not in output.partition("the others are closed")[2]
