"""The benchmark runs; its figures are for people to judge."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def measured(tmp_path: Path, *options: str) -> set[str]:
    """The names of the figures of a quick run, up to a comma."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", str(report), *options]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    names = [figure["name"] for figure in json.loads(report.read_text())["figures"]]
    return {name.split(",")[0] for name in names}


@pytest.mark.slurm
def test_clusters_are_measured_on_request(tmp_path: Path) -> None:
    only = ("cluster jobs", "cluster latencies", "cluster queue")

    assert measured(tmp_path, *(f"--only={name}" for name in only)) >= {
        "8 jobs on Slurm",
        "submission to start",
        "end to the store that knows it",
        "100 other jobs in the queue of Slurm: time of a look",
    }


def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    assert measured(tmp_path) >= {
        "POST /evaluate",
        "GET /jobs/{id}",
        "GET /queue",
        "GET /health",
        "memory of a submitted job",
        "memory of a queued job",
        "what the server adds to the gap",
        "16 evaluations of 0.1 s on 8 slots",
        "gap between evaluations with 8 slots",
        "a waiting client knows of the end",
        "5 who wait for one job know of its end",
        "5 idle event streams",
        "5 event streams have an event",
    }


@pytest.mark.real_harness("lm-eval")
def test_a_quick_run_with_a_harness_measures_cold_and_warm_starts(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["lm-eval", "--rounds", "1", "--evaluations", "1", "--json", str(report)]
    command = [sys.executable, "-m", "tests.bench.harness", *options]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(report.read_text())
    assert figures["cold"]["total"] > figures["warm"]["total"] > 0
