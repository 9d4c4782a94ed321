"""The checks of one version: each is a question to a real server that runs the real harness."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.compatibility.harnesses import Harness, Subject
from tests.support import FINISHED, Api, Json, until

UNKNOWN_TASK = "no_such_task"
LIMIT = 8
ANSWERED_BEFORE_CANCEL = 20
"""Our launcher has lmms-eval keep its first 16 answers when they are all there."""

WITHOUT_REPAIR = "evalserver: going on without"
"""Our launchers say so in the log where a version lacks what they need."""

MAX_REASON_CHARACTERS = 160


class Status(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    FAILED = "fails"
    ABSENT = "-"
    """The version does not have what is checked."""
    UNCHECKED = "?"
    """What the check needs had failed before."""


@dataclass(frozen=True)
class Outcome:
    """What a check came to, and the reason unless it is ``ok``."""

    status: Status
    reason: str = ""


class Fault(Exception):
    """A check failed; the text says what was wrong."""


class NotThere(Exception):
    """The version does not have what is checked; the text says what it lacks."""


class Unchecked(Exception):
    """What a check needs had failed before."""


@dataclass
class Run:
    """A server with one version of a harness, and what the checks so far have found out."""

    api: Api
    subject: Subject
    harness: Harness
    models: list[str] = field(default_factory=list)
    evaluation: Json | None = None
    """The completed job of the check ``evaluation``."""
    second: Json | None = None
    """A completed job with odd arguments, a limit, and without samples."""
    second_alias: str = "second"
    seen: list[Json] = field(default_factory=list)
    """The states of progress of ``evaluation``."""
    cancelled_id: str | None = None
    """The job of the check ``cancel``."""

    def alias(self, name: str) -> str:
        """The name under which the requests of one check ask the model."""
        return f"{self.subject.name}-{name}"

    def asked(self, name: str) -> list[Json]:
        """The requests to the model under an alias."""
        received = self.harness.received()
        return [each for each in received if each["model"].startswith(self.alias(name))]

    def completed(self) -> Json:
        """The job of the check ``evaluation``. Raises Unchecked if it did not complete."""
        if self.evaluation is None:
            raise Unchecked
        return self.evaluation

    async def finish(self, **fields: Any) -> Json:
        """Run a job to its end. Raises Fault unless it completes."""
        job = await self.api.finished(await self.api.submit_unchecked(**fields))
        return require_completed(job)


Check = Callable[[Run], Awaitable[None]]


async def check_all(run: Run) -> dict[str, Outcome]:
    """Run every check."""
    return {name: await _outcome(check, run) for name, check in CHECKS.items()}


async def _outcome(check: Check, run: Run) -> Outcome:
    try:
        await check(run)
    except NotThere as error:
        return Outcome(Status.ABSENT, str(error))
    except Unchecked:
        return Outcome(Status.UNCHECKED)
    except Fault as error:
        return Outcome(Status.FAILED, str(error))
    except AssertionError as error:
        # An answer of the server that was not expected.
        return Outcome(Status.FAILED, shorten(str(error)))
    return Outcome(Status.OK)


async def lists_tasks(run: Run) -> None:
    """``GET /tasks`` has the harness's own tasks and those of the directory."""
    tasks = (await run.api.call("GET", "/tasks"))["tasks"]
    if run.harness.task not in tasks:
        raise Fault(f"{run.harness.task} is not among its {len(tasks)} tasks")


async def lists_models(run: Run) -> None:
    """``GET /models`` has the model that the other checks use."""
    run.models = (await run.api.call("GET", "/models"))["models"]
    if run.harness.model not in run.models:
        raise Fault(f"{run.harness.model} is not among its {len(run.models)} models")


async def evaluates(run: Run) -> None:
    """A job completes, with the one right number."""
    job_id = await run.api.submit_unchecked(**run.harness.request(run.alias("evaluation")))

    async def ended() -> Json | None:
        job = await run.api.job(job_id)
        run.seen.append(job["progress"] or {})
        return job if job["status"] in FINISHED else None

    job = require_completed(await until(ended))
    run.evaluation = job
    [result] = job["result"].values()
    numbers, metric = result["metrics"][run.harness.task], run.harness.metric
    [value] = [number for name, number in numbers.items() if name.split(",")[0] == metric]
    expected = run.harness.right / run.harness.total
    if abs(value - expected) > 1e-9:
        raise Fault(f"{metric} is {value}, not {expected}")


async def reports_version(run: Run) -> None:
    """The job's provenance says which version evaluated."""
    provenance = run.completed()["provenance"]
    version = provenance["harness"]["version"]
    if not version:
        raise Fault("the provenance has no version")


async def reads_results(run: Run) -> None:
    """The results have the number of documents, and a standard error."""
    answer = await run.api.call("GET", run.completed()["links"]["results"])
    [row] = [each for each in answer["results"] if each["metric"] == run.harness.metric]
    if row["n"] != run.harness.total:
        raise Fault(f"n is {row['n']}, not {run.harness.total}")
    if not row["stderr"]:
        raise Fault("there is no standard error")
    if row["higher_is_better"] is not True:
        raise Fault("higher_is_better is not true")


async def reads_samples(run: Run) -> None:
    """Every document has a sample, and the wrong ones account for the number."""
    harness = run.harness
    path = f"{run.completed()['links']['self']}/samples/{harness.task}"
    page = await run.api.call("GET", f"{path}?limit=500")
    documents = {str(each["sample"]["doc_id"]) for each in page["samples"]}
    if len(page["samples"]) != harness.total or len(documents) != harness.total:
        told = f"{len(page['samples'])} samples of {len(documents)} documents"
        raise Fault(f"{told}, not {harness.total}")
    wrong = (await run.api.call("GET", f"{path}?only=wrong"))["samples"]
    if len(wrong) != harness.total - harness.right:
        raise Fault(f"{len(wrong)} samples are wrong, not {harness.total - harness.right}")


async def shows_progress(run: Run) -> None:
    """The number of answers that are there was shown while more were to come."""
    run.completed()
    between = [
        each
        for each in run.seen
        if each.get("total") == run.harness.total and 0 < (each["done"] or 0) < each["total"]
    ]
    if not between:
        stages = sorted({str(each.get("stage")) for each in run.seen if each})
        raise Fault(f"only seen: {', '.join(stages) or 'nothing'}")


async def has_dummy(run: Run) -> None:
    """The model that needs no endpoint is listed."""
    if not run.models:
        raise Unchecked
    if run.harness.dummy not in run.models:
        raise NotThere(f"it has no model {run.harness.dummy}")


async def takes_task_files(run: Run) -> None:
    """A task by the path of its file, with everything that the next three checks look at."""
    harness = run.harness
    if not harness.takes_task_files:
        raise NotThere("it has no tasks by path")
    fields = {**_second_request(run, "file"), "tasks": [str(harness.task_file)]}
    run.second = await run.finish(**fields)
    run.second_alias = "file"
    [result] = run.second["result"].values()
    if harness.task not in result["metrics"]:
        raise Fault(f"the metrics are those of {', '.join(result['metrics'])}")


async def passes_arguments(run: Run) -> None:
    """Values with commas and brackets, and numbers, arrive as they were."""
    if run.second is None:
        run.second = await run.finish(**_second_request(run, "second"))
    fault = run.harness.odd_arguments_fault(run.asked(run.second_alias))
    if fault:
        raise Fault(fault)


async def limits(run: Run) -> None:
    """``limit`` is the number of documents that the model is asked about."""
    if run.second is None:
        raise Unchecked
    asked = len(run.asked(run.second_alias))
    if asked != LIMIT:
        raise Fault(f"limit = {LIMIT} asked the model {asked} times")


async def leaves_no_samples(run: Run) -> None:
    """``log_samples = false`` gives numbers, and no samples."""
    if run.second is None:
        raise Unchecked
    [result] = run.second["result"].values()
    if result["samples"]:
        raise Fault("log_samples = false left samples")


def _second_request(run: Run, alias: str) -> Json:
    fields = run.harness.odd_request(run.alias(alias))
    return {**fields, "limit": LIMIT, "log_samples": False}


async def cancels(run: Run) -> None:
    """A job that is cancelled in the midst of its requests."""
    fields = run.harness.request(run.alias("cancel"))
    job_id = await run.api.submit_unchecked(**fields, use_cache=True)

    async def answered() -> bool:
        job = await run.api.job(job_id)
        if job["status"] in FINISHED:
            raise Fault(f"it was {job['status']} before it could be cancelled: {job['error']}")
        return len(run.asked("cancel")) >= ANSWERED_BEFORE_CANCEL

    await until(answered)
    await run.api.call("DELETE", f"/jobs/{job_id}")
    job = await run.api.finished(job_id)
    if job["status"] != "cancelled":
        raise Fault(f"it is {job['status']}")
    run.cancelled_id = job_id


async def reuses_answers(run: Run) -> None:
    """The next attempt of the cancelled job asks only for the answers that were not kept."""
    if run.cancelled_id is None:
        raise Unchecked
    before = len(run.asked("cancel"))
    await run.api.call("POST", f"/jobs/{run.cancelled_id}/retry")
    require_completed(await run.api.finished(run.cancelled_id))
    again = len(run.asked("cancel")) - before
    if again >= run.harness.total:
        log = await run.api.text(f"/jobs/{run.cancelled_id}/log")
        said = next((line for line in log.splitlines() if WITHOUT_REPAIR in line), None)
        raise NotThere(said) if said else Fault(f"all {again} answers were asked for again")


async def explains_unknown_tasks(run: Run) -> None:
    """A task that there is not: the job fails, and its error names the task."""
    fields = {**run.harness.request(run.alias("unknown")), "tasks": [UNKNOWN_TASK]}
    job = await run.api.finished(await run.api.submit_unchecked(**fields))
    if job["status"] != "failed":
        raise Fault(f"the job is {job['status']}")
    if UNKNOWN_TASK not in job["error"]:
        raise Fault(f"the error does not name the task: {shorten(job['error'])}")


CHECKS: Mapping[str, Check] = {
    "tasks": lists_tasks,
    "models": lists_models,
    "dummy": has_dummy,
    "evaluation": evaluates,
    "provenance": reports_version,
    "results": reads_results,
    "samples": reads_samples,
    "progress": shows_progress,
    "task file": takes_task_files,
    "arguments": passes_arguments,
    "limit": limits,
    "no samples": leaves_no_samples,
    "cancel": cancels,
    "use_cache": reuses_answers,
    "unknown task": explains_unknown_tasks,
}
"""The columns of the matrix, in the order in which they are checked."""


def require_completed(job: Json) -> Json:
    """Return the job. Raises Fault with the first line of its error unless it completed."""
    if job["status"] != "completed":
        raise Fault(f"{job['status']}: {shorten(job['error'] or '')}")
    return job


def shorten(text: str) -> str:
    """The first line of a text, as far as it fits."""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= MAX_REASON_CHARACTERS else f"{line[:MAX_REASON_CHARACTERS]}..."
