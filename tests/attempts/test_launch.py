"""Where attempts run: in the server's working directory, or each in a directory of its own."""

from pathlib import Path

import pytest

from evalserver.attempts.launch import LaunchContext, Planner
from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.job import NewJob
from evalserver.core.request import EvaluateRequest
from evalserver.engines import Command, Engine, EngineSettings, Paths, Results
from evalserver.executors import Exit, LocalExecutor


class WritesBesideItself(Engine):
    """A harness that writes a file with a relative path, and fails if it is there."""

    def command(self, request: EvaluateRequest, paths: Paths) -> Command:
        """Return the command line of one attempt."""
        return Command(("sh", "-c", "set -C; echo mine > submission.json"))

    def read_results(self, request: EvaluateRequest, paths: Paths) -> Results:
        """Return nothing."""
        return Results({}, ())


@pytest.mark.parametrize(("where", "ends"), [("server", [0, 2]), ("attempt", [0, 0])])
async def test_attempts_share_a_working_directory_unless_the_operator_separates_them(
    tmp_path: Path, where: str, ends: list[int]
) -> None:
    engine = WritesBesideItself(EngineSettings("a", "a", "python3", working_directory=where))
    directories = RunDirectories(tmp_path / "runs", "")
    planner = Planner({"a": engine}, directories, LaunchContext({}, tmp_path, 1.0))
    executor = LocalExecutor()
    codes = []

    for number in range(2):
        job = NewJob(f"job-{number}", "a", EvaluateRequest("m", ("t",)), "tester")
        paths = directories.first_attempt(job)
        await executor.start(planner.launch_spec(job, paths, f"token-{number}"))
        end = await executor.wait(paths.run_dir)
        assert isinstance(end, Exit)
        codes.append(end.exit_code)

    assert codes == ends
    assert [each.name for each in tmp_path.glob("*.json")] == ["submission.json"] * ends.count(2)


@pytest.mark.parametrize(("executor", "visible"), [("local", "3"), ("cluster", None)])
def test_a_cluster_says_itself_which_gpus_its_jobs_have(
    tmp_path: Path, executor: str, visible: str | None
) -> None:
    engine = WritesBesideItself(EngineSettings("a", "a", "python3"))
    directories = RunDirectories(tmp_path / "runs", "")
    context = LaunchContext({"CUDA_VISIBLE_DEVICES": "3"}, tmp_path, 1.0)
    job = NewJob("job", "a", EvaluateRequest("m", ("t",)), "tester", executor=executor)

    spec = Planner({"a": engine}, directories, context).launch_spec(
        job, directories.first_attempt(job), "token"
    )

    assert spec.env.get("CUDA_VISIBLE_DEVICES") == visible
