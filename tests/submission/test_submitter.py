"""The submitter without a server: a request becomes a job on disk, or is rejected."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.checkpoints.merging import Merge
from evalserver.core.request import EvaluateRequest
from evalserver.engines import make_engines
from evalserver.executors import LocalExecutor
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Key, Store
from evalserver.submission.idempotency import request_hash
from evalserver.submission.queue_limits import QueueLimits, Quota
from evalserver.submission.rejection import Reason, Rejected
from evalserver.submission.submitter import Accepted, SubmissionPolicy, Submitter
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
    yield Submitter(store, engines, catalog, limits, threads, policy)
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

    with submitter.keys_in_flight.hold(key):
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
