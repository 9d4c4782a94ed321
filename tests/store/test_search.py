"""Searching by the prefix of an id, or by a part of a model's or a task's name."""

import pytest

from evalserver.core.job_id import short_job_id
from evalserver.core.lifecycle import Status
from evalserver.store import JobFilter, Store
from tests.store.test_jobs import PLENTY, complete, start, submit

RUNNING = frozenset({Status.RUNNING})


async def found(store: Store, search: str, **wanted: object) -> list[str]:
    """The ids of the jobs that the search finds."""
    page = await store.queries.page(JobFilter(search=search, **wanted), PLENTY)  # type: ignore[arg-type]
    return [job.job_id for job in page.jobs]


@pytest.mark.parametrize("search", ["qwen2_vl", "qwen", "WEN2", "_vl"])
async def test_a_part_of_a_model_name_finds_its_jobs(store: Store, search: str) -> None:
    wanted = await submit(store, model="qwen2_vl")
    await submit(store, model="llava_hf")

    assert await found(store, search) == [wanted]


async def test_a_part_of_a_task_name_finds_its_jobs(store: Store) -> None:
    wanted = await submit(store, tasks=("mmmu_val", "ai2d"))
    await submit(store, tasks=("mme",))

    assert await found(store, "ai2") == [wanted]


async def test_a_text_in_the_options_of_the_harness_finds_the_job(store: Store) -> None:
    wanted = await submit(store, harness_args={"metadata": {"tokenizer": "lab/Tok-7"}})
    await submit(store, model_args={"pretrained": "lab/other"})

    assert await found(store, "tok-7") == [wanted]


async def test_an_id_prefix_finds_the_job(store: Store) -> None:
    wanted = await submit(store)

    assert await found(store, wanted[:-2]) == [wanted]


async def test_the_short_form_of_an_id_finds_the_job(store: Store) -> None:
    wanted = await submit(store)
    await submit(store)

    assert await found(store, short_job_id(wanted)) == [wanted]


async def test_an_end_of_four_characters_finds_the_job(store: Store) -> None:
    made = await submit(store)

    assert await found(store, made[-4:]) == [made]
    assert await found(store, made[-3:]) == []


async def test_a_job_matched_by_two_names_is_listed_once(store: Store) -> None:
    both = await submit(store, model="mme_model", tasks=("mme", "mme_cot"))
    one = await submit(store, tasks=("mme",))

    assert await found(store, "mme") == [one, both]


async def test_a_search_combines_with_other_filters(store: Store) -> None:
    wanted = await start(store, model="qwen2_vl")
    await submit(store, model="qwen2_vl")

    assert await found(store, "qwen", statuses=RUNNING) == [wanted]


@pytest.mark.parametrize("search", ["%", "_", "nothing", "'"])
async def test_a_text_that_is_in_no_name_finds_nothing(store: Store, search: str) -> None:
    await submit(store, model="dummy", tasks=("mme",))

    assert await found(store, search) == []


async def test_search_results_are_paginated(store: Store) -> None:
    jobs = [await submit(store, model="qwen2_vl") for _ in range(3)]
    wanted = JobFilter(search="qwen")

    first = await store.queries.page(wanted, 2)
    assert first.next is not None
    second = await store.queries.page(wanted, 2, first.next)

    assert [job.job_id for job in (*first.jobs, *second.jobs)] == [*reversed(jobs)]


@pytest.mark.parametrize("search", ["/ckpt/sft-7b/step-400", "SFT-7B", "step-400"])
async def test_a_part_of_a_model_argument_finds_its_job(store: Store, search: str) -> None:
    wanted = await submit(store, model_args={"pretrained": "/ckpt/SFT-7b/step-400", "n": 3})
    await submit(store, model_args={"pretrained": "/ckpt/other/step-4"})
    await submit(store)

    assert await found(store, search) == [wanted]


async def test_nested_arguments_are_searched(store: Store) -> None:
    wanted = await submit(store, model_args={"lora": {"paths": ["/adapters/first"]}})

    assert await found(store, "adapters/fi") == [wanted]


@pytest.mark.parametrize("search", ["hf_AbCd", "hunter22", "abcdefgh"])
async def test_secrets_are_not_searchable(store: Store, search: str) -> None:
    await submit(
        store,
        model_args={
            "token": "abcdefghij",
            "pretrained": "hf_AbCdEfGhIjKlMnOpQrStUv",
            "base_url": "https://me:hunter22@example.org",
        },
    )

    assert await found(store, search) == []


async def test_a_pruned_job_is_no_longer_found(store: Store) -> None:
    await complete(store, model_args={"pretrained": "/ckpt/gone"})

    await store.jobs.prune(0)

    assert await found(store, "/ckpt/gone") == []
