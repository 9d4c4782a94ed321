"""What an attempt has written, and what of it a look from another machine does not find."""

import json
from pathlib import Path

import pytest

from evalserver.executors.slurm.unseen_files import find_unseen
from evalserver.runner.files import OUTPUTS_FILE
from evalserver.runner.written_files import record_written_files


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The run directory of an attempt that wrote two files, and recorded them."""
    path = tmp_path / "job" / "attempt-1"
    for name in ("results.json", "model/samples.jsonl"):
        file = path / "output" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("content")
    record_written_files(path, path / "output")
    return path


def test_nothing_is_missing_where_everything_is_seen(run_dir: Path) -> None:
    assert find_unseen(run_dir) is None


@pytest.mark.parametrize("name", ["results.json", "model/samples.jsonl"])
def test_a_file_that_is_not_seen_is_named(run_dir: Path, name: str) -> None:
    (run_dir / "output" / name).unlink()

    assert find_unseen(run_dir) == str(run_dir / "output" / name)


def test_a_folder_that_is_not_seen_is_named(run_dir: Path) -> None:
    (run_dir / "output" / "model").rename(run_dir / "elsewhere")

    assert find_unseen(run_dir) == str(run_dir / "output" / "model")


def test_a_file_that_is_seen_shorter_than_it_was_written_is_named(run_dir: Path) -> None:
    (run_dir / "output" / "results.json").write_text("conte")

    assert find_unseen(run_dir) == str(run_dir / "output" / "results.json")


@pytest.mark.parametrize(
    "record",
    [
        "", "{", "[]", "{}", '{"directory": 1, "files": {}}', '{"directory": "/o", "files": 1}',
        '{"directory": "/", "files": {"a": 1}}', '{"directory": "", "files": {"a": 1}}',
    ],
)  # fmt: skip
def test_a_malformed_record_names_nothing(run_dir: Path, record: str) -> None:
    (run_dir / OUTPUTS_FILE).write_text(record)

    assert find_unseen(run_dir) is None


@pytest.mark.parametrize("name", ["a\0b", "../../x", "/etc/passwd", "a//b", "", ".", "n" * 5000])
def test_names_that_lead_elsewhere_are_files_that_are_not_seen(run_dir: Path, name: str) -> None:
    record = {"directory": str(run_dir / "output"), "files": {name: 1}}
    (run_dir / OUTPUTS_FILE).write_text(json.dumps(record))

    assert find_unseen(run_dir) is not None


def test_a_bounded_number_of_files_is_recorded(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalserver.runner.written_files.MAX_WRITTEN_FILES", 1)

    record_written_files(run_dir, run_dir / "output")

    assert len(json.loads((run_dir / OUTPUTS_FILE).read_text())["files"]) == 1


def test_a_name_that_is_not_utf_8_is_left_out(run_dir: Path) -> None:
    (run_dir / "output" / "bad\udcff").write_text("content")

    record_written_files(run_dir, run_dir / "output")

    assert find_unseen(run_dir) is None
