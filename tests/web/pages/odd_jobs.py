"""Jobs that fill a page: 30 tasks, names of 120 characters, errors of 3 000 characters."""

from dataclasses import dataclass
from pathlib import Path

from tests.support import Api

MANY_TASKS = [
    "mmlu_pro_computer_science_and_electrical_engineering_with_chain_of_thought",
    *(f"benchmark_{number}_cot_5shot" for number in range(2, 31)),
]
"""30 tasks, one with a long name."""

LONG_PATH = f"/checkpoints/{'sft_7b_long_context_' * 5}/step_100"
"""A checkpoint whose path has 121 characters and no place to break it."""

LONG_LABELS = {
    "series": f"series_{'of_a_training_run_' * 6}",
    "owner": "alice",
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "note": "a label whose text is a whole sentence, which somebody wrote for the others",
}

REPEATS = 215
"""Times that the harness repeats 14 characters in its error: 3 000 characters."""


@dataclass(frozen=True)
class OddJobs:
    """The ids of the jobs."""

    many_tasks: str
    more_tasks: str
    two_filters: str
    failed: str
    running: str
    queued: str


async def submit_odd_jobs(api: Api, gate: Path) -> OddJobs:
    """Run jobs with long values; one runs until the file ``gate`` exists, one waits for it."""
    many = {"tasks": MANY_TASKS, "model": f"model_{'x' * 114}"}
    checkpoint = {"pretrained": LONG_PATH}
    many_tasks = await _scored(api, "1/0/1/0", step="100", **many)
    more_tasks = await _scored(api, "1/0/1/1/1/0/1/1", step="200", **many)
    judging = {"behave": "judge", "documents": 30, "thoughts": 500}
    two_filters = await _finished(api, model_args=judging, tasks=["mme", "ai2d"])
    crash = {"behave": "crash", "times": REPEATS, **checkpoint}
    failed = await _finished(api, model_args=crash, labels=LONG_LABELS, **many)
    waiting = {"behave": "bars", "gate": str(gate), **checkpoint}
    running = await api.submit_unchecked(model_args=waiting, labels=LONG_LABELS, **many)
    await api.when(running, "running")
    queued = await api.submit_unchecked(model_args=checkpoint, labels=LONG_LABELS, **many)
    return OddJobs(many_tasks, more_tasks, two_filters, failed, running, queued)


async def _scored(api: Api, scores: str, *, step: str, **fields: object) -> str:
    args = {"behave": "scores", "scores": scores, "pretrained": LONG_PATH}
    return await _finished(api, model_args=args, labels={**LONG_LABELS, "step": step}, **fields)


async def _finished(api: Api, **fields: object) -> str:
    job_id = await api.submit_unchecked(**fields)
    await api.finished(job_id)
    return job_id
