"""The numbers of a job, as the store gives them back."""

from evalserver.core.job import Metric
from evalserver.store import Store
from tests.store.test_jobs import ACCURACY, PLENTY, completed, start

UNTOLD = Metric("ai2d", "loss", "none", 0.1 + 0.2, None, None, None)
WORSE = Metric("mme", "perplexity", "none", 1e300, None, 3, higher_is_better=False)


async def test_numbers_come_back_exactly_and_in_order(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(WORSE, ACCURACY, UNTOLD), PLENTY)

    assert await store.queries.metrics(job_id) == [UNTOLD, ACCURACY, WORSE]


async def test_a_truth_value_comes_back_as_one(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    [metric] = await store.queries.metrics(job_id)

    assert metric.higher_is_better is True


async def test_numbers_are_those_of_the_job_alone(store: Store) -> None:
    await store.jobs.finish(await start(store), completed(ACCURACY), PLENTY)
    job_id = await start(store)

    assert await store.queries.metrics(job_id) == []


async def test_numbers_go_when_the_job_is_tried_again(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)
    await store.jobs.retry(job_id, "alice")

    assert await store.queries.metrics(job_id) == []
