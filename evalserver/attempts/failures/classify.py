"""Deciding why a job failed. What is certain goes before what is read from the log."""

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from evalserver.attempts.failures.codes import CODES
from evalserver.attempts.failures.exceptions import Frame, Raised, chain_of, read_exceptions
from evalserver.attempts.failures.machine_signs import MACHINE_SIGNS, WRAPPERS
from evalserver.attempts.failures.request_signs import HUB_SIGNS, PROVIDER_SIGNS, REQUEST_SIGNS
from evalserver.attempts.failures.sign import MAX_QUOTED, Sign, shorten
from evalserver.core.job import Failure
from evalserver.executors import Exit, ExitReason

SIGNS = (*MACHINE_SIGNS, *HUB_SIGNS, *REQUEST_SIGNS, *PROVIDER_SIGNS)
"""In order of precedence: of an exception, the first sign that matches decides."""
SIGNAL_BASE = 128
STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
RESOURCE_CODES = ("disk_full", "disk_quota", "too_many_open_files", "host_out_of_memory")
"""What can keep a program from being started."""

UNRECORDED_KILL = (
    "The harness got SIGKILL, and not from evalserver. Nearly always the kernel sends it for lack"
    " of memory, but no record of the kernel was readable that would prove it."
)
BUS_ERROR = "The harness got SIGBUS, which usually means that /dev/shm is full."


@dataclass(frozen=True)
class Evidence:
    """What is known of an attempt whose harness ran, or could not be started.

    ``log_end`` is plain text. ``failed_request`` is the error of one of too many failed requests.
    ``task_paths`` are the files and directories of the operator's and the client's own tasks.
    """

    end: Exit
    log_end: str = ""
    is_merge: bool = False
    has_failed_requests: bool = False
    failed_request: str | None = None
    task_paths: tuple[PurePath, ...] = ()


def failure(code: str, says: str = "") -> Failure:
    """Return the failure of a code, with a sentence about this job before the advice."""
    return Failure(code, f"{says} {CODES[code]}".strip())


def classify(evidence: Evidence) -> Failure:
    """Return why a job failed whose attempt ended like this."""
    end = evidence.end
    if end.reason is ExitReason.TIMED_OUT:
        return failure("time_limit")
    if end.reason is ExitReason.STALLED:
        return failure("stalled")
    if end.reason is ExitReason.TERMINATED:
        return failure("lost")
    if end.reason is ExitReason.NOT_STARTED:
        found = _by_signs([Raised("", end.error or "")])
        return found if found and found.code in RESOURCE_CODES else failure("not_started")
    if evidence.has_failed_requests:
        request = Raised("", evidence.failed_request or "")
        return _by_signs([request]) or failure("failed_requests")
    return _by_kernel(end) or _by_log(evidence) or _by_exit_code(evidence)


def _by_kernel(end: Exit) -> Failure | None:
    if end.out_of_memory is not None:
        return failure("host_out_of_memory", end.out_of_memory)
    number = (end.exit_code or 0) - SIGNAL_BASE
    if number == signal.SIGKILL:
        return failure("host_out_of_memory", UNRECORDED_KILL)
    return failure("killed") if number in STOPPING_SIGNALS else None


def _by_log(evidence: Evidence) -> Failure | None:
    exceptions = read_exceptions(evidence.log_end)
    if exceptions and exceptions[0].is_last_line:
        exceptions = _with_last_line(exceptions, evidence.end.exit_code == 0)
    if not exceptions:
        return None
    chain = chain_of(exceptions)
    if any(each.match(chain[0]) is not None for each in WRAPPERS):
        chain = exceptions
    found = _by_signs(chain, evidence.task_paths)
    if found is not None:
        return found
    place = _place_in_tasks(chain, evidence.task_paths)
    if place is not None:
        return failure("task_error", place)
    if evidence.is_merge:
        return failure("merge_failed")
    return None if exceptions[0].is_last_line else failure("harness_error")


def _with_last_line(exceptions: Sequence[Raised], succeeded: bool) -> list[Raised]:
    """Count a last line that is no exception only where there is no traceback.

    A harness that ended with 0 ended its log with whatever it had to say.
    """
    last, *tracebacks = exceptions
    if succeeded or (not last.name and tracebacks):
        return tracebacks
    return list(exceptions)


def _by_exit_code(evidence: Evidence) -> Failure:
    code = evidence.end.exit_code or 0
    if code == 0:
        return failure("no_results")
    if code == SIGNAL_BASE + signal.SIGBUS:
        return failure("shared_memory", BUS_ERROR)
    if SIGNAL_BASE < code <= SIGNAL_BASE + signal.SIGRTMIN:
        return failure("crashed", f"It got {_signal_name(code - SIGNAL_BASE)}.")
    return failure("merge_failed" if evidence.is_merge else "harness_error")


def _by_signs(exceptions: Iterable[Raised], task_paths: Sequence[PurePath] = ()) -> Failure | None:
    """The first exception with a sign decides, by its first sign.

    What a lab's own task raised itself may quote a model's answer, so that its text proves nothing.
    """
    for raised in exceptions:
        is_own = bool(raised.frames) and _is_in(raised.frames[-1], task_paths)
        found = _first_sign(raised, [sign for sign in SIGNS if sign.names or not is_own])
        if found is not None:
            return failure(found[0].code, found[1])
    return None


def _first_sign(raised: Raised, signs: Iterable[Sign]) -> tuple[Sign, str] | None:
    for sign in signs:
        says = sign.match(raised)
        if says is not None:
            return sign, says
    return None


def _place_in_tasks(chain: Sequence[Raised], task_paths: Sequence[PurePath]) -> str | None:
    """Return the innermost place in a lab's own task that an exception came through."""
    for raised in chain:
        for frame in reversed(raised.frames):
            if _is_in(frame, task_paths):
                where = f" in {frame.function}" if frame.function else ""
                return f"{frame.file}, line {frame.line}{where}: {_short(raised)}."
    return None


def _is_in(frame: Frame, task_paths: Sequence[PurePath]) -> bool:
    file = PurePath(frame.file)
    return any(path == file or path in file.parents for path in task_paths)


def _short(raised: Raised) -> str:
    message = raised.message.partition("\n")[0]
    return shorten(f"{raised.name}: {message}", MAX_QUOTED).rstrip(".: ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
