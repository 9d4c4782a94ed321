"""The errors of real packages, as they printed them, give the right code.

``recorded/`` holds what ``record.py`` recorded; the cheap ones are raised again.
"""

from pathlib import Path, PurePath

import pytest

from evalserver.attempts.failures import CODES, SIGNS, Evidence, classify
from evalserver.attempts.failures.exceptions import read_exceptions
from evalserver.core.job import Failure
from evalserver.executors import Exit, ExitReason
from tests.attempts.failures.cases import CASES, TASKS, run
from tests.attempts.failures.loopback import serving
from tests.attempts.failures.record import RECORDED
from tests.small_disk import mount_small_disk, unmount

CHEAP = [
    pytest.param(name, marks=pytest.mark.real_harness(case.harness))
    for name, case in CASES.items()
    if case.is_cheap
]


def failure_of(log_end: str, code: int = 1) -> Failure:
    """Why a harness failed that ended its log like this."""
    end = Exit(ExitReason.EXITED, code, "", "")
    return classify(Evidence(end, log_end, task_paths=(PurePath("/lab"), TASKS)))


def recorded(name: str) -> str:
    """What the real packages printed."""
    return (RECORDED / f"{name}.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_what_real_packages_printed_has_its_code(name: str) -> None:
    assert failure_of(recorded(name)).code == CASES[name].code


@pytest.mark.parametrize("name", CHEAP)
def test_what_real_packages_print_has_its_code(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    if case.on_small_disk:
        mount_small_disk(tmp_path)
    try:
        with serving() as url:
            result = run(case, url, tmp_path)
    finally:
        if case.on_small_disk:
            unmount(tmp_path)

    assert result.returncode != 0
    assert failure_of(result.stdout).code == case.code, result.stdout


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.code}: {sign.names or 'any'}")
def test_every_sign_is_shown_by_a_real_package_or_names_its_source(sign: object) -> None:
    shown = any(
        sign.match(raised) is not None  # type: ignore[attr-defined]
        for name in CASES
        for raised in read_exceptions(recorded(name))
    )

    assert shown or sign.source  # type: ignore[attr-defined]


def test_every_sign_has_a_code_of_the_table() -> None:
    assert {sign.code for sign in SIGNS} <= CODES.keys()


def test_the_line_of_the_labs_own_task_is_named() -> None:
    found = failure_of(recorded("lm-eval-raising"))

    assert found.advice.startswith("/lab/lm_eval/utils.py, line ")


def test_the_missing_package_is_named() -> None:
    assert failure_of(recorded("lm-eval-vllm")).advice.startswith("vllm is not installed there. ")


def test_no_recorded_output_names_a_place_of_this_machine() -> None:
    here = str(Path(__file__).parents[3])

    assert [path.name for path in RECORDED.iterdir() if here in path.read_text()] == []
