"""``evalserver gate``: verdicts for people and for scripts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalserver.cli.exit_codes import ExitCode
from tests.cli.shell import Shell
from tests.support import ServerProcess
from tests.web.api.test_compare import run_scored
from tests.web.api.test_gates import RIGHT, WORSE

SETTINGS = "[gates.release]\nmax_drop = 0.01\n"


@dataclass(frozen=True)
class Lab:
    """A server with jobs of a series: a baseline, one that is as good, one that is worse; and one
    with few documents."""

    shell: Shell
    baseline: str
    good: str
    worse: str
    few: str


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A server with these jobs."""
    config = tmp_path / "server.toml"
    config.write_text(SETTINGS)
    async with ServerProcess(tmp_path / "data", "--config", str(config)) as server:
        jobs = [
            await run_scored(server.api, *scores, series="run", step=step)
            for step, scores in enumerate((RIGHT, RIGHT, WORSE, RIGHT[:20]), 1)
        ]
        yield Lab(Shell(server.url), *jobs)


async def test_the_exit_code_is_the_verdict(lab: Lab) -> None:
    jobs = (lab.good, lab.worse, lab.few)

    codes = [
        lab.shell.run("gate", job, "--baseline", lab.baseline, "--max-drop", "0.01").returncode
        for job in jobs
    ]

    assert codes == [ExitCode.DONE, ExitCode.NO_GO, ExitCode.INCONCLUSIVE] == [0, 5, 6]


async def test_a_verdict_is_shown_with_its_numbers_and_its_reasons(lab: Lab) -> None:
    words = ("gate", lab.worse[-8:], "--baseline", lab.baseline[-8:], "--policy", "release")

    lines = lab.shell.run(*words).stdout.splitlines()

    head = "TASK METRIC FILTER TIER VERDICT DAMAGE INTERVAL MARGIN FLIPS N"
    assert " ".join(lines[0].split()) == head
    assert lines[1].split()[:6] == ["mme", "acc", "none", "critical", "breach", "+0.1200"]
    assert lines[1].split()[-3:] == ["-60", "+0", "500"]
    assert lines[2].startswith(
        "mme acc: worse by 0.12 on 500 paired documents (60 worse, 0 better)"
    )
    assert lines[-1] == "no_go: 1 of 1 metric breached the gate: mme acc."


async def test_a_verdict_is_kept_listed_and_shown_again(lab: Lab) -> None:
    asked = ("gate", lab.worse, "--baseline", "previous", "--max-relative-drop", "0.02")
    kept = lab.shell.run(*asked, "--task", "m*", "--confidence", "0.9", "--keep", "--json")

    listed = lab.shell.json("gate", "--list", lab.worse)
    shown = lab.shell.run("gate", "--verdict", str(listed[0]["verdict_id"]), "--json")

    assert (kept.returncode, shown.returncode) == (ExitCode.NO_GO, ExitCode.NO_GO)
    assert shown.stdout == kept.stdout
    assert [each["baseline_id"] for each in listed][:1] == [lab.good]


async def test_verdicts_on_a_series_are_listed(lab: Lab) -> None:
    lab.shell.run("gate", lab.good, "--baseline", "best", "--policy", "release", "--keep")

    lines = lab.shell.stdout_of("gate", "--list", "--series", "run").splitlines()

    head = "VERDICT JOB SERIES STEP BASELINE POLICY SAYS BY AT"
    assert " ".join(lines[0].split()) == head
    assert lines[1].split()[2:7:3] == ["run", "release"]
    assert lines[1].split()[6] == "go"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "abcd",
        "abcd --baseline abce",
        "--list --verdict 1",
        "--list abcd --max-drop 0.1",
        "--verdict 1 abcd",
        "abcd --baseline abce --max-drop 0.1 --series run",
        "abcd --baseline abce --max-drop much",
    ],
)
async def test_what_makes_no_sense_is_rejected_before_anything_is_sent(words: str) -> None:
    result = Shell("http://127.0.0.1:1").run("gate", *words.split())

    assert result.returncode == ExitCode.USAGE


async def test_an_invalid_margin_is_rejected_by_the_server(lab: Lab) -> None:
    result = lab.shell.run("gate", lab.good, "--baseline", lab.baseline, "--max-drop", "-1")

    assert result.returncode == ExitCode.USAGE
    assert "max_drop: Must be a number from 0" in result.stderr
