"""Names and hashes of checkpoint files: for which paths they are stored, and who sees them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalserver.checkpoints.fingerprints import fingerprint, fingerprints
from evalserver.core.roles import Role
from evalserver.system.allowed_directories import AllowedDirectories
from tests.security.lab import Lab

NO_DIRECTORIES = AllowedDirectories("--allow-path", ())


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server with authentication that allows no directory beside its own."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    lab.open()
    yield lab
    lab.close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A directory that looks like a checkpoint."""
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_text("weights")
    return directory


def stored_fingerprints(path: Path, allowed: AllowedDirectories = NO_DIRECTORIES) -> dict[str, Any]:
    """Return what is stored about a path that a client names as its model."""
    return fingerprints({"pretrained": str(path)}, allowed, full=True)


def hashes(path: Path, allowed: AllowedDirectories = NO_DIRECTORIES) -> dict[str, str | None]:
    """Return the hash of each file of a checkpoint."""
    files = fingerprint(path, allowed, full=False)["files"]
    return {file["name"]: file["sha256"] for file in files}


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc", "/etc/nosuch", "/", "/usr", "/proc/self"])
def test_nothing_is_stored_about_a_path_that_is_no_checkpoint(path: str) -> None:
    assert stored_fingerprints(Path(path)) == {}


def test_any_path_in_an_allowed_directory_is_hashed(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")

    assert stored_fingerprints(tmp_path, AllowedDirectories("--allow-path", [tmp_path])) != {}


def test_a_checkpoint_is_hashed_anywhere(checkpoint: Path) -> None:
    assert None not in hashes(checkpoint).values()


def test_a_weights_file_is_hashed_anywhere(checkpoint: Path) -> None:
    assert stored_fingerprints(checkpoint / "model.safetensors") != {}


def test_a_link_named_like_weights_is_judged_by_its_target(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("/etc/passwd")

    assert stored_fingerprints(tmp_path / "model.safetensors") == {}


def test_a_link_out_of_a_checkpoint_is_not_hashed(checkpoint: Path) -> None:
    (checkpoint / "vocab.txt").symlink_to("/etc/passwd")

    assert hashes(checkpoint)["vocab.txt"] is None


def test_a_link_to_another_checkpoint_is_followed(checkpoint: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").symlink_to(checkpoint / "model.safetensors")

    assert hashes(other)["model.safetensors"] == hashes(checkpoint)["model.safetensors"]


def test_links_within_a_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    snapshot, blobs = tmp_path / "snapshots" / "main", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "0a1b").write_text("weights")
    (snapshot / "model.safetensors").symlink_to(blobs / "0a1b")

    assert hashes(snapshot)["model.safetensors"] is not None


@pytest.mark.parametrize(
    ("role", "sees"), [(Role.VIEWER, False), (Role.SUBMITTER, True), (Role.ADMIN, True)]
)
def test_only_the_submitter_and_administrators_see_names_and_hashes(
    lab: Lab, checkpoint: Path, role: Role, sees: bool
) -> None:
    job_id = lab.submit(model_args={"pretrained": str(checkpoint)})
    lab.when(job_id, "completed")

    for path in ("/jobs/{}", "/jobs", "/ui/jobs/{}", "/jobs/{}/events", "/jobs/{}/results"):
        text = lab.send("GET", path.format(job_id), role).text
        shows_all = sees and path in ("/jobs/{}", "/jobs", "/ui/jobs/{}")
        assert ("sha256" in text) == shows_all, path


def test_another_submitter_sees_no_names_or_hashes(lab: Lab, checkpoint: Path) -> None:
    job_id = lab.submit(Role.ADMIN, model_args={"pretrained": str(checkpoint)})
    lab.when(job_id, "completed")

    job = lab.send("GET", f"/jobs/{job_id}", Role.SUBMITTER).json()

    assert "checkpoints" not in job["provenance"]
    assert job["provenance"]["weights_changed"] is False


def test_a_system_file_is_not_hashed_into_its_job(lab: Lab) -> None:
    job_id = lab.submit(model_args={"pretrained": "/etc/passwd"})
    lab.when(job_id, "completed")

    job = lab.send("GET", f"/jobs/{job_id}", Role.ADMIN).json()
    stored = [path for path in lab.data_dir.glob(f"runs/*{job_id}/**/provenance.json")]

    assert "sha256" not in json.dumps(job)
    assert stored == []


def test_the_number_of_hashed_files_is_limited_in_name_order(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalserver.checkpoints.fingerprints.MAX_QUICK_BYTES", len("{}"))

    found = hashes(checkpoint)

    assert [name for name, sha256 in found.items() if sha256 is not None] == ["config.json"]
