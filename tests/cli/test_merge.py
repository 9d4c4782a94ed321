"""``evalserver merge``, and how the command line shows merges."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.checkpoints_in_shards import EMA, in_shards, merges_of
from tests.cli.shell import Shell
from tests.support import ServerProcess


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    """A shell with a server that may read the test's checkpoints."""
    async with ServerProcess(tmp_path / "data", "--allow-path", str(tmp_path)) as server:
        yield Shell(server.url)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A sharded checkpoint."""
    return in_shards(tmp_path / "checkpoint-100", ema=True)


async def test_only_the_job_id_is_printed(shell: Shell, checkpoint: Path) -> None:
    job = shell.run("merge", checkpoint).stdout.strip()

    assert shell.run("wait", job).returncode == 0
    assert merges_of(checkpoint) == ["regular"]


async def test_the_weights_and_the_output_can_be_chosen(shell: Shell, checkpoint: Path) -> None:
    merged = checkpoint.with_name("merged")
    options = ("--checkpoint-type", "ema", "--output_path", merged, "--wait")

    result = shell.run("merge", checkpoint, *options)

    assert result.returncode == 0, result.stderr
    assert (merged / "model.safetensors").read_text().startswith(EMA)


async def test_with_wait_the_path_of_the_merged_checkpoint_is_printed(
    shell: Shell, checkpoint: Path
) -> None:
    result = shell.run("merge", checkpoint, "--wait")

    assert str(checkpoint) in result.stdout


async def test_a_failed_merge_fails_the_command_with_its_reason(
    shell: Shell, tmp_path: Path
) -> None:
    result = shell.run("merge", in_shards(tmp_path / "broken", behave="fail"), "--wait")

    assert result.returncode == 1
    assert "the shards do not fit together" in result.stdout + result.stderr


async def test_a_missing_checkpoint_is_named(shell: Shell, tmp_path: Path) -> None:
    result = shell.run("merge", tmp_path / "nowhere")

    assert result.returncode != 0
    assert f"There is no checkpoint at {tmp_path / 'nowhere'}" in result.stderr


async def test_a_submission_can_have_its_checkpoint_merged_first(
    shell: Shell, checkpoint: Path
) -> None:
    kwargs = f"model_path={checkpoint},checkpoint_type=ema"

    result = shell.run("submit", "-m", "dummy", "-t", "mme", "--lmms-engine-kwargs", kwargs, "-w")

    assert result.returncode == 0, result.stderr
    assert merges_of(checkpoint) == ["ema"]
