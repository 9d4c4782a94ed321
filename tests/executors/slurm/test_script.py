"""What Slurm is told to run: scripts run by a real bash, options as sbatch gets them."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalserver.executors.slurm import SlurmSubmission, sbatch_args_fault
from evalserver.executors.slurm.script import CANNOT_ENTER, batch_script, sbatch_options

PRINT = ("/bin/sh", "-c", 'printf "%s\\0" "$PWD" "$@"', "sh")

TEXTS = st.text(
    st.one_of(
        st.sampled_from("'\"`$(){};&|<>*?~#!\\\n\r\t %=-"),
        st.characters(codec="utf-8", exclude_characters="\0/"),
    ),
    max_size=40,
)
FOLDERS = TEXTS.filter(lambda name: name not in ("", ".", "..") and len(name.encode()) < 200)


def submission(run_dir: Path, *argv: str, **options: Any) -> SlurmSubmission:
    """A submission of this command, with its log in the run directory."""
    return SlurmSubmission("job-1", run_dir, run_dir / "slurm.log", argv, **options)


def run(job: SlurmSubmission, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the script of a submission by bash, with these variables alone."""
    return subprocess.run(
        ["bash"], input=batch_script(job).encode(), env=variables, capture_output=True, check=False
    )


@given(folder=FOLDERS, arguments=st.lists(TEXTS, max_size=3))
def test_no_directory_and_no_argument_is_read_as_code(folder: str, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as above:
        run_dir = Path(above, folder)
        run_dir.mkdir()

        done = run(submission(run_dir, *PRINT, *arguments))

        assert done.stdout.decode().split("\0")[:-1] == [str(run_dir), *arguments]
        assert (done.returncode, done.stderr) == (0, b"")
        assert list(Path(above).iterdir()) == [run_dir]


def test_a_node_without_the_run_directory_runs_nothing(tmp_path: Path) -> None:
    done = run(submission(tmp_path / "missing", "touch", str(tmp_path / "ran")))

    assert done.returncode == CANNOT_ENTER
    assert not (tmp_path / "ran").exists()


def test_the_program_gets_no_variables_of_slurm_but_its_id_its_node_and_those_of_gpus(
    tmp_path: Path,
) -> None:
    given = {"SLURM_JOB_NAME": "x", "SBATCH_X": "x", "TZ": "UTC"}
    kept = {"CUDA_VISIBLE_DEVICES": "0,1", "ROCR_VISIBLE_DEVICES": "0", "HOME": "/home/me"}
    kept |= {"SLURM_JOB_ID": "4711", "SLURMD_NODENAME": "n1"}

    done = run(submission(tmp_path, "/usr/bin/env"), **given, **kept)

    found = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert {name: found.get(name) for name in (*given, *kept)} == dict.fromkeys(given) | kept


def test_the_script_becomes_the_program(tmp_path: Path) -> None:
    process = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    job = submission(tmp_path, "/bin/sh", "-c", "echo $$")

    output, _ = process.communicate(batch_script(job).encode())

    assert int(output) == process.pid


def test_what_is_not_set_is_left_to_the_site(tmp_path: Path) -> None:
    options = sbatch_options(submission(tmp_path, "true"), "NIL")

    names = {option.partition("=")[0] for option in options}
    site = {"--partition", "--account", "--qos", "--constraint", "--gres", "--mem", "--time"}
    assert not names & site
    assert "--export=NIL" in options


def test_settings_come_after_the_operators_own_options(tmp_path: Path) -> None:
    own = ("--exclude=n7", "--reservation=eval")
    table: dict[str, Any] = {"partition": "gpu; rm", "gres": "gpu:2", "cpus_per_gpu": 4}
    job = submission(tmp_path, "true", time_minutes=9, sbatch_args=own, **table)

    options = sbatch_options(job, "ALL")

    assert options[:6] == (
        *own, "--partition=gpu; rm", "--gres=gpu:2", "--cpus-per-gpu=4", "--time=9",
    )  # fmt: skip


@pytest.mark.parametrize("argument", ["--exclude=n3", "--exclusive", "-Cbig", "--licenses=a:1"])
def test_an_option_that_does_no_harm_is_the_operators(argument: str) -> None:
    assert sbatch_args_fault((argument,)) is None


@pytest.mark.parametrize(
    "argument", ["script.sh", "-", "--", "", "--wrap=ls", "--arr=1-9", "-a1", "-W", "--requeue"]
)
def test_an_option_that_breaks_what_is_relied_on_is_named(argument: str) -> None:
    fault = sbatch_args_fault(("--exclude=n3", argument))

    assert fault is not None
    assert argument.partition("=")[0] in fault


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a,b"},
        {"name": ""},
        {"name": "-a"},
        {"name": "a" * 129},
        {"run_dir": Path("runs/1")},
        {"log": Path("slurm.log")},
        {"time_minutes": 0},
        {"sbatch_args": ("--wait",)},
    ],
)
def test_a_submission_that_sbatch_would_read_otherwise_is_refused(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "name": "a",
        "run_dir": Path("/r"),
        "log": Path("/r/log"),
        "argv": ("true",),
    }

    with pytest.raises(ValueError, match=r".+"):
        SlurmSubmission(**{**fields, **change})
