"""The submitter, without a server: a request becomes a job on disk, or a reason why not."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from evalserver.checkpoints.merging import Merge
from evalserver.core.job import EvaluateRequest
from evalserver.engines import make_engines
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Key, Store
from evalserver.submission.idempotency import request_hash
from evalserver.submission.queue_limits import QueueLimits
from evalserver.submission.rejection import Reason, Rejected
from evalserver.submission.submitter import Accepted, SubmissionPolicy, Submitter
from evalserver.system.allowed_directories import output_directories
from evalserver.system.disk_threads import DiskThreads
from tests.support import stand_in_environment

MAX_QUEUED = 3
MAX_QUEUED_PER_TOKEN = 2

REQUEST = EvaluateRequest("dummy", ("mme",))


@pytest.fixture
async def submitter(store: Store, tmp_path: Path) -> AsyncIterator[Submitter]:
    """A submitter with the real engines and the stand-in harness."""
    threads = DiskThreads("submissions")
    engines = make_engines("python3", None, {})
    catalog = Catalog(store, engines, stand_in_environment())
    limits = QueueLimits(MAX_QUEUED, MAX_QUEUED_PER_TOKEN)
    store.subscribe(limits.on_event)
    policy = SubmissionPolicy("lmms_eval", 60.0, output_directories(tmp_path, ()))
    yield Submitter(store, engines, catalog, limits, threads, policy)
    threads.close()
    await catalog.close()


async def test_an_accepted_job_is_on_disk(store: Store, submitter: Submitter) -> None:
    accepted = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(accepted, Accepted)
    assert (await store.job(accepted.job_id)).submitted_by == "alice"


async def test_a_request_gets_the_servers_defaults(store: Store, submitter: Submitter) -> None:
    accepted = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(accepted, Accepted)
    assert (await store.job(accepted.job_id)).request.timeout_s == 60.0


async def test_a_checked_request_writes_nothing(store: Store, submitter: Submitter) -> None:
    await submitter.check(REQUEST, "alice")

    assert await store.queued() == []


async def test_every_fault_of_a_request_is_returned(store: Store, submitter: Submitter) -> None:
    impossible = EvaluateRequest(
        "openai/gpt-4o", ("capitals",), engine="inspect", num_fewshot=3, device="cuda:0"
    )

    rejected = await submitter.submit(impossible, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.INVALID
    assert set(rejected.faults) == {"num_fewshot", "device"}


async def test_a_checkpoint_that_does_not_exist_is_a_fault(
    submitter: Submitter, tmp_path: Path
) -> None:
    missing = EvaluateRequest("dummy", ("mme",), {"pretrained": str(tmp_path / "missing")})

    rejected = await submitter.submit(missing, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert set(rejected.faults) == {"model_args.pretrained"}


async def test_without_validation_a_missing_checkpoint_is_accepted(
    submitter: Submitter, tmp_path: Path
) -> None:
    missing = EvaluateRequest("dummy", ("mme",), {"pretrained": str(tmp_path / "missing")})

    assert isinstance(await submitter.submit(missing, "alice", answer, validate=False), Accepted)


async def test_a_token_has_a_limited_number_of_places_in_the_queue(submitter: Submitter) -> None:
    for _ in range(MAX_QUEUED_PER_TOKEN):
        await submitter.submit(REQUEST, "alice", answer)

    rejected = await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.QUEUE_FULL


async def test_the_limit_of_one_token_is_not_that_of_another(submitter: Submitter) -> None:
    for _ in range(MAX_QUEUED_PER_TOKEN):
        await submitter.submit(REQUEST, "alice", answer)

    assert isinstance(await submitter.submit(REQUEST, "bob", answer), Accepted)


async def test_the_same_key_makes_one_job(store: Store, submitter: Submitter) -> None:
    key = Key("the key", "alice", request_hash(REQUEST))
    first = await submitter.submit(REQUEST, "alice", answer, key=key)

    second = await submitter.submit(REQUEST, "alice", answer, key=key)

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert (second.answer, second.replayed) == (first.answer, True)
    assert len(await store.queued()) == 1


async def test_a_key_that_is_being_used_is_rejected(submitter: Submitter) -> None:
    key = Key("the key", "alice", request_hash(REQUEST))

    with submitter.keys_in_flight.hold(key):
        rejected = await submitter.submit(REQUEST, "alice", answer, key=key)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.IN_PROGRESS


async def test_a_merge_of_a_checkpoint_that_does_not_exist_is_rejected(
    submitter: Submitter, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"

    rejected = await submitter.check_merge(Merge(missing, "regular", missing), "alice")

    assert isinstance(rejected, Rejected)
    assert rejected.reason is Reason.NO_CHECKPOINT


async def test_a_merge_of_a_checkpoint_without_shards_is_rejected(
    submitter: Submitter, tmp_path: Path
) -> None:
    rejected = await submitter.check_merge(Merge(tmp_path, "regular", tmp_path), "alice")

    assert isinstance(rejected, Rejected)
    assert set(rejected.faults) == {"checkpoint_path"}


def answer(job_id: str, position: int) -> str:
    """What is kept with a key."""
    return f"{job_id} at {position}"
