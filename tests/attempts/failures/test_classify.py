"""What decides why a job failed: what is certain before what the log says, and of the log only how
it ended."""

import time
from dataclasses import replace
from pathlib import PurePath

import pytest

from evalserver.attempts.failures import Evidence, classify
from evalserver.core.job import Failure
from evalserver.executors import Exit, ExitReason

OUT_OF_MEMORY = """Traceback (most recent call last):
  File "/venv/torch/nn.py", line 9, in forward
    return F.linear(input)
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB.
"""
KEY_ERROR = """Traceback (most recent call last):
  File "/venv/lm_eval/evaluator.py", line 9, in evaluate
    call()
KeyError: 'answer'
"""
BROKEN = Exit(ExitReason.EXITED, 1, "", "")


def failure_of(log_end: str, end: Exit = BROKEN, **evidence: object) -> Failure:
    """Why a harness failed that ended like this."""
    return classify(Evidence(end, log_end, **evidence))  # type: ignore[arg-type]


def code_of(log_end: str, end: Exit = BROKEN, **evidence: object) -> str:
    """The code of that failure."""
    return failure_of(log_end, end, **evidence).code


def test_the_time_limit_wins_over_the_log() -> None:
    end = replace(BROKEN, reason=ExitReason.TIMED_OUT, exit_code=137)

    assert code_of(OUT_OF_MEMORY, end) == "time_limit"


def test_a_kill_recorded_by_the_kernel_wins_over_the_log() -> None:
    end = replace(BROKEN, out_of_memory="The kernel killed process 7 (python) of it.")

    found = failure_of(KEY_ERROR, end)

    assert found.code == "host_out_of_memory"
    assert found.advice.startswith("The kernel killed process 7 (python) of it. ")


def test_a_kill_without_a_record_says_that_it_is_not_proven() -> None:
    found = failure_of(OUT_OF_MEMORY, replace(BROKEN, exit_code=137))

    assert found.code == "host_out_of_memory"
    assert "no record of the kernel was readable" in found.advice


def test_too_many_failed_requests_have_the_code_of_their_error() -> None:
    error = "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 401 - Incorrect API key"
    end = replace(BROKEN, exit_code=0)

    found = code_of(KEY_ERROR, end, has_failed_requests=True, failed_request=error)

    assert found == "provider_authentication"


def test_too_many_failed_requests_without_a_known_error_are_that() -> None:
    end = replace(BROKEN, exit_code=0)

    assert code_of("", end, has_failed_requests=True, failed_request="odd") == "failed_requests"


def test_a_program_that_cannot_be_started_because_the_disk_is_full_says_so() -> None:
    error = "[Errno 28] No space left on device: '/data/eval.log'"
    end = replace(BROKEN, reason=ExitReason.NOT_STARTED, error=error)

    assert code_of("", end) == "disk_full"


TEXTS_OF_OTHERS = {
    "an answer": "answer: CUDA out of memory. Error code: 429\n" + KEY_ERROR,
    "an answer with a traceback": OUT_OF_MEMORY + "the next answer\n" + KEY_ERROR,
    "a logged error that was handled": "ERROR: 429 Too Many Requests, waiting\n" + KEY_ERROR,
    "a key that looks like an error": KEY_ERROR.replace("answer", "CUDA out of memory"),
}


@pytest.mark.parametrize("log_end", TEXTS_OF_OTHERS.values(), ids=TEXTS_OF_OTHERS.keys())
def test_texts_in_a_log_decide_nothing(log_end: str) -> None:
    assert code_of(log_end) == "harness_error"


def test_a_traceback_long_before_the_end_decides_nothing() -> None:
    log_end = OUT_OF_MEMORY + "the evaluation goes on\n" * 300

    assert code_of(log_end) == "harness_error"


def test_the_last_line_decides_nothing_if_the_harness_succeeded() -> None:
    log_end = "RuntimeError: CUDA out of memory"

    assert code_of(log_end, replace(BROKEN, exit_code=0)) == "no_results"
    assert code_of(log_end) == "gpu_out_of_memory"


def test_what_a_harness_that_succeeded_logged_after_its_traceback_decides_nothing() -> None:
    log_end = OUT_OF_MEMORY + "ERROR | Error during evaluation: 429\n"

    assert code_of(log_end, replace(BROKEN, exit_code=0)) == "gpu_out_of_memory"


def test_the_cause_of_an_exception_is_found_in_its_chain() -> None:
    chained = "\nThe above exception was the direct cause of the following exception:\n\n"

    assert code_of(OUT_OF_MEMORY + chained + KEY_ERROR) == "gpu_out_of_memory"


def test_a_traceback_behind_a_progress_bar_is_read() -> None:
    assert code_of(f"Postprocessing:   0%|          | 0/1 {OUT_OF_MEMORY}") == "gpu_out_of_memory"


def test_the_exception_of_a_rank_is_found_above_that_of_its_launcher() -> None:
    rank = "".join(f"[rank1]: {line}\n" for line in OUT_OF_MEMORY.splitlines())
    launcher = KEY_ERROR.replace("KeyError: 'answer'", "subprocess.CalledProcessError: Command")

    assert code_of(rank + launcher) == "gpu_out_of_memory"


def test_the_exception_of_vllms_engine_is_found_above_that_of_its_client() -> None:
    prefix = "(EngineCore_DP0 pid=71) ERROR 11-28 12:00:00 [core.py:700] "
    engine = "".join(f"{prefix}{line}\n" for line in OUT_OF_MEMORY.splitlines())
    client = KEY_ERROR.replace(
        "KeyError: 'answer'",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    )

    assert code_of(engine + client) == "gpu_out_of_memory"


def test_a_crash_of_native_code_is_read() -> None:
    log_end = (
        "terminate called after throwing an instance of 'c10::DistBackendError'\n"
        "  what():  [PG ID 0] Process group watchdog thread terminated with exception: [Rank 0]"
        " Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)\n"
    )

    assert code_of(log_end, replace(BROKEN, exit_code=134)) == "distributed_timeout"


def test_an_error_in_the_labs_task_names_file_and_line() -> None:
    log_end = KEY_ERROR.replace(
        "    call()\n", '    call()\n  File "/lab/tasks/utils.py", line 12, in score\n    x\n'
    )

    found = failure_of(log_end, task_paths=(PurePath("/lab"),))

    assert found.code == "task_error"
    assert found.advice.startswith("/lab/tasks/utils.py, line 12 in score: KeyError: 'answer'. ")


def test_an_answer_that_the_labs_task_quotes_decides_nothing() -> None:
    log_end = KEY_ERROR.replace(
        "KeyError: 'answer'", "ValueError: no number in 'CUDA out of memory. Error code: 429'"
    ).replace("/venv/lm_eval", "/lab/tasks")

    assert code_of(log_end, task_paths=(PurePath("/lab"),)) == "task_error"


def test_a_merge_that_fails_has_a_code_of_its_own() -> None:
    assert code_of(KEY_ERROR, is_merge=True) == "merge_failed"


HOSTILE = {
    "headers": "Traceback (most recent call last):\n" * 4000,
    "frames": "Traceback (most recent call last):\n" + '  File "x", line 1, in f\n' * 4000,
    "a long line": "Traceback (most recent call last):\n" + "a.b" * 80_000,
    "prefixes": "[rank1]: " * 28_000,
    "dots": "Traceback (most recent call last):\n" + ("." * 1000 + "\n") * 250,
    "quotes": ("'" * 1000 + "\n") * 250,
    "names": "Traceback (most recent call last):\nE: " + "requires the " * 20_000,
}


@pytest.mark.parametrize("log_end", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_log_is_read_in_bounded_time(log_end: str) -> None:
    began = time.process_time()

    classify(Evidence(BROKEN, log_end))

    assert time.process_time() - began < 10


def test_a_long_quotation_ends_with_an_ellipsis() -> None:
    log = f"jinja2.exceptions.UndefinedError: 'doc' has no {'x' * 300}"

    assert "x…." in failure_of(log).advice
