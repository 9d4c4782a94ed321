"""The layout of jobs' files, and removing only those."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from evalserver.attempts.run_directories import RunDirectories
from evalserver.core.job import Job
from evalserver.engines import Paths
from tests.attempts.test_outcome import JOB as ANY_JOB

JOB = replace(ANY_JOB, attempt=1)
JOB_ID = JOB.job_id
OTHER = str(uuid.UUID(int=7))


@pytest.fixture
def directories(tmp_path: Path) -> RunDirectories:
    """The layout of a data directory that does not exist yet."""
    return RunDirectories(tmp_path / "runs", "eval_")


def job_with_output_in(path: Path) -> Job:
    """Return a job whose client named an output directory."""
    return replace(JOB, request=replace(JOB.request, output_dir=str(path)))


def filled(directory: Path) -> Path:
    """Create a directory with a file."""
    directory.mkdir(parents=True)
    (directory / "file").write_text("kept?")
    return directory


def test_the_paths_of_an_attempt_are_in_the_directory_of_its_job(
    directories: RunDirectories,
) -> None:
    job_dir = directories.root / f"eval_{JOB_ID}"

    assert directories.current_attempt(JOB) == Paths(
        run_dir=job_dir / "attempt-1",
        output_dir=job_dir / "attempt-1" / "output",
        cache_dir=job_dir / "cache",
    )


def test_the_next_attempt_has_new_paths_and_the_same_cache(
    directories: RunDirectories,
) -> None:
    job_dir = directories.root / f"eval_{JOB_ID}"

    assert directories.next_attempt(JOB) == Paths(
        run_dir=job_dir / "attempt-2",
        output_dir=job_dir / "attempt-2" / "output",
        cache_dir=job_dir / "cache",
    )


def test_output_in_a_named_directory_is_separated_by_job_and_attempt(
    directories: RunDirectories, tmp_path: Path
) -> None:
    named = tmp_path / "mine"
    job = job_with_output_in(named)

    places = [directories.current_attempt(job), directories.next_attempt(job)]

    assert [paths.output_dir for paths in places] == [
        named / JOB_ID / "attempt-1",
        named / JOB_ID / "attempt-2",
    ]
    assert places[0].run_dir == directories.root / f"eval_{JOB_ID}" / "attempt-1"


def test_a_relative_output_directory_becomes_absolute(
    directories: RunDirectories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_with_output_in(Path("mine"))

    output_dir = directories.current_attempt(job).output_dir

    assert output_dir == tmp_path / "mine" / JOB_ID / "attempt-1"


def test_the_paths_of_a_running_attempt_are_those_of_its_claim(
    directories: RunDirectories,
) -> None:
    job = replace(JOB, run_dir="/earlier/attempt-1", output_dir="/earlier/output")

    paths = directories.current_attempt(job)

    assert paths.run_dir == Path("/earlier/attempt-1")
    assert paths.output_dir == Path("/earlier/output")


def test_removing_a_job_deletes_all_its_files_and_no_others(
    directories: RunDirectories,
) -> None:
    mine = filled(directories.root / f"eval_{JOB_ID}" / "attempt-1")
    others = filled(directories.root / f"eval_{OTHER}" / "attempt-1")

    directories.remove([JOB_ID])

    assert not mine.parent.exists()
    assert (others / "file").exists()


def test_removing_finds_a_job_created_under_another_prefix(
    directories: RunDirectories,
) -> None:
    filled(directories.root / f"earlier_{JOB_ID}")

    directories.remove([JOB_ID])

    assert list(directories.root.iterdir()) == []


def test_removing_a_job_keeps_the_directory_that_its_client_named(
    directories: RunDirectories, tmp_path: Path
) -> None:
    job = job_with_output_in(tmp_path / "mine")
    paths = directories.current_attempt(job)
    filled(paths.run_dir)
    filled(paths.output_dir)

    directories.remove([JOB_ID])

    assert not paths.run_dir.exists()
    assert (paths.output_dir / "file").exists()


def test_removing_does_not_follow_a_link_out_of_the_data_directory(
    directories: RunDirectories, tmp_path: Path
) -> None:
    outside = filled(tmp_path / "outside")
    job_dir = filled(directories.root / f"eval_{JOB_ID}")
    (job_dir / "link").symlink_to(outside)

    directories.remove([JOB_ID])

    assert not job_dir.exists()
    assert (outside / "file").exists()


def test_removing_an_unknown_job_does_nothing(directories: RunDirectories) -> None:
    directories.remove([JOB_ID])

    assert not directories.root.exists()


def test_jobs_with_files_are_found_under_any_prefix(
    directories: RunDirectories,
) -> None:
    filled(directories.root / f"eval_{JOB_ID}")
    filled(directories.root / f"earlier_{OTHER}")

    assert directories.job_ids() == sorted([JOB_ID, OTHER])


@pytest.mark.parametrize(
    "name", ["notes", "lost+found", ".hidden", "eval_", f"{OTHER}.bak", OTHER.upper() + "A"]
)
def test_a_directory_without_a_job_id_is_ignored(directories: RunDirectories, name: str) -> None:
    filled(directories.root / name)

    assert directories.job_ids() == []


def test_without_a_directory_of_runs_no_job_has_files(directories: RunDirectories) -> None:
    assert directories.job_ids() == []


@pytest.fixture
def with_cluster(tmp_path: Path) -> RunDirectories:
    """The layout of a data directory, and of a directory that is shared with a cluster."""
    roots = {"gpu": tmp_path / "shared" / "evalserver-1"}
    return RunDirectories(tmp_path / "runs", "eval_", roots=roots)


@pytest.mark.parametrize(
    ("executor", "root"), [("local", "runs"), ("cpu", "runs"), ("gpu", "shared/evalserver-1")]
)
def test_an_executor_can_have_its_run_directories_elsewhere(
    with_cluster: RunDirectories, tmp_path: Path, executor: str, root: str
) -> None:
    job = replace(JOB, executor=executor)

    assert with_cluster.next_attempt(job).run_dir == tmp_path / root / f"eval_{JOB_ID}/attempt-2"


def test_the_files_of_a_job_are_removed_wherever_they_are(
    with_cluster: RunDirectories, tmp_path: Path
) -> None:
    mine = [
        filled(with_cluster.roots["gpu"] / f"eval_{JOB_ID}"),
        filled(with_cluster.root / f"eval_{JOB_ID}"),
    ]
    other_servers = filled(tmp_path / "shared" / "evalserver-2" / f"eval_{JOB_ID}")
    runner = filled(tmp_path / "shared" / ".runner-0123")

    with_cluster.remove([JOB_ID])

    assert not any(place.exists() for place in mine)
    assert other_servers.exists()
    assert runner.exists()


def test_jobs_are_found_in_all_directories_of_this_server(
    with_cluster: RunDirectories, tmp_path: Path
) -> None:
    filled(with_cluster.root / f"eval_{JOB_ID}")
    filled(with_cluster.roots["gpu"] / f"eval_{OTHER}")
    filled(tmp_path / "shared" / "evalserver-2" / f"eval_{uuid.UUID(int=9)}")

    assert with_cluster.job_ids() == sorted([JOB_ID, OTHER])


def test_the_files_of_a_job_are_measured_where_they_are(with_cluster: RunDirectories) -> None:
    job = replace(JOB, executor="gpu", run_dir=None)
    filled(with_cluster.current_attempt(job).run_dir)

    assert with_cluster.size(job) > 0
