"""What the command line says about odd results."""

import json

from tests.cli.shell import Shell
from tests.support import ServerProcess

ODD = json.dumps({"mme": {"acc,none": float("nan")}, "ai2d": {"acc,none": 0.5}})
WARNING = "mme: acc,none is NaN"


async def _submit_odd(server: ServerProcess) -> str:
    return await server.api.submit_unchecked(
        tasks=["mme", "ai2d"], model_args={"behave": "report", "results": ODD}
    )


async def test_waiting_warns_of_odd_results(server: ServerProcess) -> None:
    async with server:
        job_id = await _submit_odd(server)

        result = Shell(server.url).run("wait", "--quiet", job_id)

    assert result.returncode == 0
    assert result.stderr == f"Warning: {WARNING}\n"
    assert "ai2d" in result.stdout


async def test_lists_and_details_say_that_results_are_odd(server: ServerProcess) -> None:
    async with server:
        shell, job_id = Shell(server.url), await _submit_odd(server)
        await server.api.finished(job_id)

        listed = shell.run("jobs", "--result-check", "warnings").stdout
        details = shell.run("status", job_id).stdout

    assert "completed (warnings)" in listed
    assert "completed (warnings)" in details
    assert WARNING in details


async def test_the_numbers_of_a_failed_job_are_offered_and_shown(server: ServerProcess) -> None:
    async with server:
        shell = Shell(server.url)
        args = {"behave": "leave", "what": "none", "code": 1}
        job_id = await server.api.submit(model_args=args)

        waited = shell.run("wait", job_id)
        shown = shell.run("results", job_id)

    assert f"The numbers that it has: evalserver results {job_id}\n" in waited.stderr
    assert (shown.returncode, "0.5000" in shown.stdout) == (0, True)
