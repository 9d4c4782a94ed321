"""Submitting to the series of a training run in a shell."""

from pathlib import Path

from tests.cli.shell import Shell
from tests.support import ServerProcess

RUN = ("-m", "dummy", "-t", "mme", "--series", "run")


async def test_a_newer_step_supersedes_an_older_one(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        await server.api.call("POST", "/drain")
        older = shell.stdout_of("submit", *RUN, "--step", "1").strip()

        newer = shell.stdout_of("submit", *RUN, "--step", "2", "--on-newer", "supersede").strip()

        shown = shell.stdout_of("status", older)
    assert f"Superseded by job {newer} of step 2" in shown


async def test_a_submission_that_is_skipped_prints_no_id(tmp_path: Path) -> None:
    config = tmp_path / "evalserver.toml"
    config.write_text('[series."*"]\nmax_waiting = 1\n')
    async with ServerProcess(tmp_path / "data", "--config", str(config)) as server:
        shell = Shell(server.url)
        await server.api.call("POST", "/drain")
        shell.stdout_of("submit", *RUN)

        skipped = shell.run("submit", *RUN, "--on-full", "skip", "--wait")
        answer = shell.json("submit", *RUN, "--on-full", "skip")

    assert (skipped.returncode, skipped.stdout) == (0, "")
    assert skipped.stderr.startswith("Skipped: As many jobs of the series 'run' wait")
    assert (answer["job_id"], answer["status"]) == (None, "skipped")
