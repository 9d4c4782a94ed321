"""A job's metrics, as the store returns them."""

from evalserver.core.job import Metric
from evalserver.store import Store
from tests.store.test_jobs import ACCURACY, PLENTY, completed, start

WITHOUT_DIRECTION = Metric("ai2d", "loss", "none", 0.1 + 0.2, None, None, None)
LOWER_IS_BETTER = Metric("mme", "perplexity", "none", 1e300, None, 3, higher_is_better=False)


async def test_metrics_are_returned_exactly_and_in_order(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(LOWER_IS_BETTER, ACCURACY, WITHOUT_DIRECTION), PLENTY)

    assert await store.queries.metrics(job_id) == [WITHOUT_DIRECTION, ACCURACY, LOWER_IS_BETTER]


async def test_a_boolean_is_returned_as_a_boolean(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)

    [metric] = await store.queries.metrics(job_id)

    assert metric.higher_is_better is True


async def test_only_the_jobs_own_metrics_are_returned(store: Store) -> None:
    await store.jobs.finish(await start(store), completed(ACCURACY), PLENTY)
    job_id = await start(store)

    assert await store.queries.metrics(job_id) == []


async def test_metrics_are_removed_when_the_job_is_retried(store: Store) -> None:
    job_id = await start(store)
    await store.jobs.finish(job_id, completed(ACCURACY), PLENTY)
    await store.jobs.retry(job_id, "alice")

    assert await store.queries.metrics(job_id) == []
