"""The submitter without a server: a request becomes a job on disk, or is rejected."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalserver.checkpoints.leases.leases import Leases
from evalserver.checkpoints.merging import Merge
from evalserver.core.job import NewJob
from evalserver.core.lifecycle import Status
from evalserver.core.request import SUPERSEDE, EvaluateRequest
from evalserver.engines import make_engines
from evalserver.executors import LocalExecutor
from evalserver.executors.settings import read_executors
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Key, Store
from evalserver.submission.idempotency import request_hash
from evalserver.submission.queue_limits import QueueLimits, Quota
from evalserver.submission.queue_writer import Accepted, AcceptedBatch
from evalserver.submission.rejection import Reason, Rejected
from evalserver.submission.request_checks import SubmissionPolicy
from evalserver.submission.submitter import Submitter
from evalserver.system.allowed_directories import output_directories
from evalserver.system.disk_threads import DiskThreads
from tests.support import stand_in_environment

MAX_QUEUED = 3
MAX_QUEUED_PER_TOKEN = 2
MAX_QUEUED_BYTES = 300_000
MAX_QUEUED_BYTES_PER_TOKEN = 200_000

REQUEST = EvaluateRequest("dummy", ("mme",))


def request_of_size(number: int) -> EvaluateRequest:
    """Return a request that takes slightly more than this many bytes."""
    return EvaluateRequest("dummy", ("mme",), {"note": "ä" * (number // 2)})


def step(number: int, series: str = "run", **fields: Any) -> EvaluateRequest:
    """A request for a step of a series."""
    return EvaluateRequest("dummy", ("mme",), series=series, step=number, **fields)


async def status(store: Store, accepted: Accepted | Rejected) -> str:
    """The status of an accepted job."""
    assert isinstance(accepted, Accepted)
    return (await store.queries.job(accepted.job_id)).status.value


@pytest.fixture
def limits(store: Store) -> QueueLimits:
    """The limits of the queue, which follow the store's events."""
    limits = QueueLimits(
        Quota(MAX_QUEUED, MAX_QUEUED_BYTES),
        Quota(MAX_QUEUED_PER_TOKEN, MAX_QUEUED_BYTES_PER_TOKEN),
    )
    store.subscribe(limits.on_event)
    return limits


@pytest.fixture
async def submitter(store: Store, limits: QueueLimits, tmp_path: Path) -> AsyncIterator[Submitter]:
    """A submitter with the real engines and the stand-in harness."""
    threads = DiskThreads("submissions", 60)
    engines = make_engines("python3", None, {})
    catalog = Catalog(store, engines, stand_in_environment(), LocalExecutor())
    policy = SubmissionPolicy("lmms_eval", 60.0, output_directories(tmp_path, ()))
    leases = Leases(tmp_path, policy.allowed)
    yield Submitter(store, engines, catalog, limits, threads, policy, leases)
    await catalog.close()


@pytest.fixture
async def on_clusters(
    store: Store, limits: QueueLimits, tmp_path: Path
) -> AsyncIterator[Submitter]:
    """A submitter with two clusters, of which one is the default, and two GPUs of its own."""
    engines = make_engines("python3", None, {"lm_eval": {"executor": "cpu"}})
    catalog = Catalog(store, engines, stand_in_environment(), LocalExecutor())
    tables = {"gpu": {"type": "slurm"}, "cpu": {"type": "slurm"}}
    policy = SubmissionPolicy(
        "lmms_eval",
        60.0,
        output_directories(tmp_path, [str(tmp_path)]),
        managed_gpus=2,
        executors=read_executors(tables, tmp_path),
        default_executor="gpu",
    )
    threads = DiskThreads("submissions", 60)
    leases = Leases(tmp_path, policy.allowed)
    yield Submitter(store, engines, catalog, limits, threads, policy, leases)
    await catalog.close()


async def test_an_accepted_job_is_on_disk(store: Store, submitter: Submitter) -> None:
    accepted = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(accepted, Accepted)
    assert (await store.queries.job(accepted.job_id)).submitted_by == "alice"


async def test_a_request_gets_the_servers_defaults(store: Store, submitter: Submitter) -> None:
    accepted = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(accepted, Accepted)
    assert (await store.queries.job(accepted.job_id)).request.timeout_s == 60.0


async def test_a_checked_request_writes_nothing(store: Store, submitter: Submitter) -> None:
    await submitter.check(REQUEST, "alice")

    assert await store.queries.queued() == []


async def test_every_error_in_a_request_is_returned(store: Store, submitter: Submitter) -> None:
    impossible = EvaluateRequest(
        "openai/gpt-4o", ("capitals",), engine="inspect", num_fewshot=3, device="cuda:0"
    )

    rejected = await submitter.submit(impossible, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.INVALID
    assert set(rejected.faults) == {"num_fewshot", "device"}


async def test_a_missing_checkpoint_is_an_error(submitter: Submitter, tmp_path: Path) -> None:
    missing = EvaluateRequest("dummy", ("mme",), {"pretrained": str(tmp_path / "missing")})

    rejected = await submitter.submit(missing, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert set(rejected.faults) == {"model_args.pretrained"}


async def test_without_validation_a_missing_checkpoint_is_accepted(
    submitter: Submitter, tmp_path: Path
) -> None:
    missing = EvaluateRequest("dummy", ("mme",), {"pretrained": str(tmp_path / "missing")})

    assert isinstance(await submitter.submit(missing, "alice", answer, validate=False), Accepted)


async def test_the_queued_jobs_of_a_token_are_limited(submitter: Submitter) -> None:
    for _ in range(MAX_QUEUED_PER_TOKEN):
        await submitter.submit(REQUEST, "alice", answer)

    rejected = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.QUEUE_FULL


async def test_a_full_queue_accepts_a_job_that_supersedes_one_of_it(
    store: Store, submitter: Submitter, limits: QueueLimits
) -> None:
    accepted = [
        await submitter.submit(step(number), "alice", answer)
        for number in range(MAX_QUEUED_PER_TOKEN)
    ]

    newest = await submitter.submit(step(9, on_newer=SUPERSEDE), "alice", answer)

    assert isinstance(newest, Accepted)
    assert [await status(store, each) for each in (*accepted, newest)] == [
        "cancelled",
        "cancelled",
        "queued",
    ]
    restarted = QueueLimits(limits._total, limits._per_token)
    restarted.load(await store.queries.queued_by_submitter())
    assert vars(limits) == vars(restarted)


async def test_a_full_queue_rejects_a_job_that_would_supersede_none_of_it(
    store: Store, submitter: Submitter
) -> None:
    older = await submitter.submit(step(1), "alice", answer)
    await submitter.submit(REQUEST, "alice", answer)

    rejected = [
        await submitter.submit(step(0, on_newer=SUPERSEDE), "alice", answer),
        await submitter.submit(step(9, "other", on_newer=SUPERSEDE), "alice", answer),
        await submitter.submit(step(9), "alice", answer),
    ]

    assert [isinstance(each, Rejected) and each.reason for each in rejected] == [
        Reason.QUEUE_FULL
    ] * 3
    assert (await status(store, older), len(await store.queries.queued())) == ("queued", 2)


async def test_of_two_at_once_that_supersede_the_same_job_a_full_queue_accepts_one(
    store: Store, submitter: Submitter
) -> None:
    """Both are of the same step, so neither supersedes the other."""
    await submitter.submit(step(1), "alice", answer)
    await submitter.submit(REQUEST, "alice", answer)

    both = await asyncio.gather(
        *(submitter.submit(step(9, on_newer=SUPERSEDE), "alice", answer) for _ in range(2))
    )

    assert [isinstance(each, Accepted) for each in both].count(True) == 1


async def test_what_a_superseded_job_frees_counts_in_bytes(submitter: Submitter) -> None:
    large = {"note": "x" * MAX_QUEUED_BYTES_PER_TOKEN}
    await submitter.submit(step(1, model_args=large), "alice", answer)

    newer = await submitter.submit(step(2, model_args=large, on_newer=SUPERSEDE), "alice", answer)

    assert isinstance(newer, Accepted)


@pytest.mark.parametrize("key", [None, Key("batch", "alice", "hash")], ids=["plain", "with a key"])
async def test_a_batch_may_supersede_within_itself(
    store: Store, submitter: Submitter, key: Key | None
) -> None:
    wanted = [step(number, on_newer=SUPERSEDE) for number in range(MAX_QUEUED + 2)]
    jobs = await submitter.check_batch(wanted, "alice")
    assert not isinstance(jobs, Rejected)

    accepted = await submitter.queue.write_batch(jobs, "{}", key)

    assert isinstance(accepted, AcceptedBatch)
    assert (await store.queries.job(jobs[-1].job_id)).status is Status.QUEUED


async def test_a_batch_that_supersedes_too_little_is_rejected(
    store: Store, submitter: Submitter
) -> None:
    wanted = [step(number, on_newer=SUPERSEDE) for number in (0, 1, 1, 1)]
    jobs = await submitter.check_batch(wanted, "alice")
    assert not isinstance(jobs, Rejected)

    rejected = await submitter.queue.write_batch(jobs, "{}", None)

    assert isinstance(rejected, Rejected)
    assert (rejected.reason, await store.queries.queued()) == (Reason.QUEUE_FULL, [])


@pytest.mark.parametrize("request_", [REQUEST, step(9, on_newer=SUPERSEDE)], ids=["plain", "newer"])
async def test_a_repeated_key_is_answered_although_the_queue_is_full(
    submitter: Submitter, request_: EvaluateRequest
) -> None:
    key = Key("k", "alice", request_hash(request_))
    await submitter.submit(REQUEST, "alice", answer)
    first = await submitter.submit(request_, "alice", answer, key=key)

    again = await submitter.submit(request_, "alice", answer, key=key)

    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.answer, again.replayed) == (first.answer, True)


async def test_a_repeated_key_of_a_batch_is_answered_although_the_queue_is_full(
    submitter: Submitter,
) -> None:
    key = Key("batch", "alice", "hash")
    jobs = await submitter.check_batch([REQUEST] * MAX_QUEUED_PER_TOKEN, "alice", key=key)
    assert not isinstance(jobs, Rejected)
    await submitter.queue.write_batch(jobs, "{}", key)

    again = await submitter.queue.write_batch(jobs, "{}", key)

    assert again == AcceptedBatch("{}", replayed=True)


async def test_each_token_has_its_own_limit(submitter: Submitter) -> None:
    for _ in range(MAX_QUEUED_PER_TOKEN):
        await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(await submitter.submit(REQUEST, "bob", answer), Accepted)


async def test_the_queued_bytes_of_a_token_are_limited(
    submitter: Submitter,
) -> None:
    await submitter.submit(request_of_size(MAX_QUEUED_BYTES_PER_TOKEN), "alice", answer)

    rejected = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.QUEUE_FULL
    assert "max_queued_bytes_per_token" in rejected.detail


async def test_the_total_queued_bytes_are_limited(submitter: Submitter) -> None:
    await submitter.submit(request_of_size(MAX_QUEUED_BYTES), "alice", answer)

    rejected = await submitter.submit(REQUEST, "bob", answer)

    assert isinstance(rejected, Rejected)
    assert "the limit is max_queued_bytes;" in rejected.detail


async def test_a_cancelled_job_releases_its_queued_bytes(
    store: Store, submitter: Submitter
) -> None:
    large = await submitter.submit(request_of_size(MAX_QUEUED_BYTES), "alice", answer)
    assert isinstance(large, Accepted)

    await store.jobs.cancel_queued(large.job_id, "alice", keep=10)

    assert isinstance(await submitter.submit(REQUEST, "alice", answer), Accepted)


async def test_counts_of_queued_jobs_are_the_same_after_a_restart(
    store: Store, submitter: Submitter, limits: QueueLimits, tmp_path: Path
) -> None:
    accepted = [await submitter.submit(request_of_size(5000), "ä", answer) for _ in range(2)]
    ids = [each.job_id for each in accepted if isinstance(each, Accepted)]
    await store.jobs.prioritize(ids[1], 3, "ä")
    await store.jobs.claim(await store.queries.job(ids[1]), tmp_path, tmp_path)
    await store.jobs.interrupt(ids[1], "its runner was lost")
    await store.jobs.claim(await store.queries.job(ids[1]), tmp_path, tmp_path)
    await store.jobs.cancel_queued(ids[0], "ä", keep=10)
    await store.jobs.retry(ids[0], "ä")

    restarted = QueueLimits(limits._total, limits._per_token)
    restarted.load(await store.queries.queued_by_submitter())

    assert vars(limits) == vars(restarted)


async def test_the_same_key_creates_one_job(store: Store, submitter: Submitter) -> None:
    key = Key("the key", "alice", request_hash(REQUEST))
    first = await submitter.submit(REQUEST, "alice", answer, key=key)

    second = await submitter.submit(REQUEST, "alice", answer, key=key)

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (second.answer, second.replayed) == (first.answer, True)
    assert len(await store.queries.queued()) == 1


async def test_a_key_in_use_is_rejected(submitter: Submitter) -> None:
    key = Key("the key", "alice", request_hash(REQUEST))

    with submitter.queue.keys_in_flight.hold(key):
        rejected = await submitter.submit(REQUEST, "alice", answer, key=key)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.IN_PROGRESS


async def test_a_merge_of_a_missing_checkpoint_is_rejected(
    submitter: Submitter, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"

    rejected = await submitter.check_merge(Merge(missing, "regular", missing), "alice")

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.NO_CHECKPOINT


async def test_a_merge_of_an_unsharded_checkpoint_is_rejected(
    submitter: Submitter, tmp_path: Path
) -> None:
    rejected = await submitter.check_merge(Merge(tmp_path, "regular", tmp_path), "alice")

    assert isinstance(rejected, Rejected)
    assert set(rejected.faults) == {"checkpoint_path"}


def answer(job_id: str, position: int) -> str:
    """Return the response that is stored with a key."""
    return f"{job_id} at {position}"


@pytest.mark.parametrize(
    ("requested", "engine", "executor"),
    [(None, None, "gpu"), (None, "lm_eval", "cpu"), ("local", "lm_eval", "local")],
)
async def test_the_request_chooses_before_its_engine_and_that_before_the_default(
    store: Store, on_clusters: Submitter, requested: str | None, engine: str | None, executor: str
) -> None:
    request = replace(REQUEST, executor=requested, engine=engine)

    accepted = await on_clusters.submit(request, "alice", answer, validate=False)

    assert isinstance(accepted, Accepted)
    job = await store.queries.job(accepted.job_id)
    assert (job.executor, job.request.executor) == (executor, executor)


async def test_an_unknown_executor_is_rejected_with_the_known_ones(on_clusters: Submitter) -> None:
    rejected = await on_clusters.submit(replace(REQUEST, executor="gpus"), "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.faults == {
        "executor": "There is no executor 'gpus'. Did you mean 'gpu'? "
        "Known executors: local, gpu, cpu."
    }


async def test_the_managed_gpus_limit_only_this_machine(on_clusters: Submitter) -> None:
    request = replace(REQUEST, num_gpus=8, device="cuda:7")

    there = await on_clusters.check(replace(request, executor="gpu"), "alice")
    here = await on_clusters.check(replace(request, device="cuda:9", executor="local"), "alice")

    assert isinstance(there, NewJob)
    assert isinstance(here, Rejected)
    assert set(here.faults) == {"num_gpus", "device"}


async def test_a_key_stands_for_the_request_as_it_was_sent(
    store: Store, on_clusters: Submitter
) -> None:
    key = Key("alice", "k", request_hash(REQUEST))

    accepted = await on_clusters.submit(REQUEST, "alice", answer, key=key)

    assert isinstance(accepted, Accepted)
    assert (await store.queries.job(accepted.job_id)).executor == "gpu"
    assert request_hash(REQUEST) != request_hash(replace(REQUEST, executor="gpu"))


async def test_a_merge_runs_on_the_default_executor(on_clusters: Submitter, tmp_path: Path) -> None:
    shards = tmp_path / "checkpoint-1" / "pytorch_model_fsdp_0"
    shards.mkdir(parents=True)

    job = await on_clusters.check_merge(
        Merge(shards.parent, "regular", tmp_path / "merged"), "alice"
    )

    assert isinstance(job, NewJob), job
    assert job.executor == "gpu"
