"""``GET /tasks`` and ``GET /models``: queried from the harness once, then cached."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import MakeApi
from tests.support import STAND_IN, Api, until


async def test_tasks_are_those_of_the_harness(api: Api) -> None:
    assert await api.call("GET", "/tasks") == {"tasks": ["ai2d", "mme"]}


async def test_models_are_those_of_the_harness(api: Api) -> None:
    assert await api.call("GET", "/models") == {"models": ["dummy"]}


async def test_a_failed_harness_query_is_reported_without_secrets(
    make_api: MakeApi, harness: Path
) -> None:
    key = "hf_abcdefghijklmnopqrst"
    (harness / "lmms_eval" / "tasks.py").write_text(f"raise SystemExit('no access with {key}')")
    api = await make_api()

    problem = await api.call("GET", "/tasks", 503)

    assert "no access with" in problem["detail"]
    assert key not in problem["detail"]


async def test_a_missing_harness_is_503_with_the_reason(api: Api) -> None:
    problem = await api.call("GET", "/tasks?engine=lm_eval", 503)

    assert "lm-eval" in problem["detail"]


async def test_an_unknown_engine_is_422_and_lists_the_known_ones(api: Api) -> None:
    problem = await api.call("GET", "/models?engine=helm", 422)

    assert "lmms_eval" in problem["errors"][0]["message"]


async def test_a_cached_answer_is_served_after_the_harness_is_gone(
    make_api: MakeApi, harness: Path
) -> None:
    api = await make_api()
    await api.call("GET", "/tasks")

    shutil.rmtree(harness)

    assert await api.call("GET", "/tasks") == {"tasks": ["ai2d", "mme"]}


async def test_a_new_harness_version_is_queried_again(make_api: MakeApi, harness: Path) -> None:
    api = await make_api()
    await api.call("GET", "/tasks")
    _set_catalog(harness, version="1.0.0", tasks='["brand_new"]')

    async def has_new_tasks() -> bool:
        response = await api.call("GET", "/tasks")
        return bool(response == {"tasks": ["brand_new"]})

    assert await until(has_new_tasks)


@pytest.fixture
def harness(make_api: MakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fake harness that a test may modify; applications created afterwards use it."""
    copy = Path(shutil.copytree(STAND_IN, tmp_path / "harness"))
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def _set_catalog(harness: Path, version: str, tasks: str) -> None:
    metadata = next(harness.glob("*.dist-info")) / "METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: lmms-eval\nVersion: {version}\n")
    module = harness / "lmms_eval" / "tasks.py"
    module.write_text(module.read_text().replace('["mme", "ai2d"]', tasks))
