"""``evalserver merge``, and what the command line shows of merges."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.checkpoints_in_shards import EMA, in_shards, merges_of
from tests.cli.shell import Shell
from tests.support import ServerProcess


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A shell that knows a server which may use what the test leaves."""
    async with ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path)) as server:
        yield Shell(server.url)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint in shards."""
    return in_shards(tmp_path / "checkpoint-100", ema=True)


async def test_it_prints_the_id_of_its_job_and_nothing_else(shell: Shell, checkpoint: Path) -> None:
    job = shell.run("merge", checkpoint).stdout.strip()

    assert shell.run("wait", job).returncode == 0
    assert merges_of(checkpoint) == ["regular"]


async def test_which_weights_and_where_to_can_be_said(shell: Shell, checkpoint: Path) -> None:
    merged = checkpoint.with_name("merged")
    options = ("--checkpoint-type", "ema", "--output_path", merged, "--wait")

    done = shell.run("merge", checkpoint, *options)

    assert done.returncode == 0, done.stderr
    assert (merged / "model.safetensors").read_text().startswith(EMA)


async def test_who_waits_is_told_where_the_merged_checkpoint_is(
    shell: Shell, checkpoint: Path
) -> None:
    done = shell.run("merge", checkpoint, "--wait")

    assert str(checkpoint) in done.stdout


async def test_a_merge_that_fails_fails_the_command_with_its_reason(
    shell: Shell, tmp_path: Path
) -> None:
    done = shell.run("merge", in_shards(tmp_path / "broken", behave="fail"), "--wait")

    assert done.returncode == 1
    assert "the shards do not fit together" in done.stdout + done.stderr


async def test_a_checkpoint_that_is_not_there_is_named(shell: Shell, tmp_path: Path) -> None:
    done = shell.run("merge", tmp_path / "nowhere")

    assert done.returncode != 0
    assert f"There is no checkpoint at {tmp_path / 'nowhere'}" in done.stderr


async def test_a_submission_may_have_its_checkpoint_merged_first(
    shell: Shell, checkpoint: Path
) -> None:
    kwargs = f"model_path={checkpoint},checkpoint_type=ema"

    done = shell.run("submit", "-m", "dummy", "-t", "mme", "--lmms-engine-kwargs", kwargs, "-w")

    assert done.returncode == 0, done.stderr
    assert merges_of(checkpoint) == ["ema"]
