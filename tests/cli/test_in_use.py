"""``evalserver in-use``: which jobs need a checkpoint."""

from pathlib import Path

from tests.cli.shell import Shell
from tests.support import ServerProcess


async def test_the_jobs_that_need_a_checkpoint_are_listed(
    server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    checkpoint = str(tmp_path / "checkpoint")
    async with server:
        shell = Shell(server.url)
        args = {"pretrained": checkpoint, "behave": "hang"}
        await server.api.submit(model_args=args, series="run", step=100)

        table = shell.run("in-use", checkpoint).stdout.splitlines()
        jobs = shell.json("in-use", checkpoint)
        nobody = shell.run("in-use", str(tmp_path / "other")).stdout

    assert table[0].split() == ["JOB", "STATUS", "STEP", "LEASE", "NEEDS"]
    assert table[1].split()[2:] == ["100", "-", checkpoint]
    assert [job["relation"] for job in jobs] == ["same"]
    assert nobody == f"No job needs {tmp_path / 'other'}.\n"
