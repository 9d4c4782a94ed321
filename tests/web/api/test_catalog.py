"""``GET /tasks`` and ``GET /models``: asked of the harness once, then kept."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import MakeApi
from tests.support import STAND_IN, Api, until


async def test_tasks_are_the_harnesss_own(api: Api) -> None:
    assert await api.call("GET", "/tasks") == {"tasks": ["ai2d", "mme"]}


async def test_models_are_the_harnesss_own(api: Api) -> None:
    assert await api.call("GET", "/models") == {"models": ["dummy"]}


async def test_why_a_harness_cannot_be_asked_is_told_without_its_keys(
    make_api: MakeApi, harness: Path
) -> None:
    key = "hf_abcdefghijklmnopqrst"
    (harness / "lmms_eval" / "tasks.py").write_text(f"raise SystemExit('no access with {key}')")
    api = await make_api()

    problem = await api.call("GET", "/tasks", 503)

    assert "no access with" in problem["detail"]
    assert key not in problem["detail"]


async def test_a_harness_that_is_not_there_is_503_with_the_reason(api: Api) -> None:
    problem = await api.call("GET", "/tasks?engine=lm_eval", 503)

    assert "lm-eval" in problem["detail"]


async def test_an_unknown_engine_is_422_with_the_known_ones(api: Api) -> None:
    problem = await api.call("GET", "/models?engine=helm", 422)

    assert "lmms_eval" in problem["errors"][0]["message"]


async def test_an_answer_is_kept_and_given_when_the_harness_is_gone(
    make_api: MakeApi, harness: Path
) -> None:
    api = await make_api()
    await api.call("GET", "/tasks")

    shutil.rmtree(harness)

    assert await api.call("GET", "/tasks") == {"tasks": ["ai2d", "mme"]}


async def test_another_version_of_the_harness_is_asked_again(
    make_api: MakeApi, harness: Path
) -> None:
    api = await make_api()
    await api.call("GET", "/tasks")
    _publish(harness, version="1.0.0", tasks='["brand_new"]')

    async def answer_is_new() -> bool:
        answer = await api.call("GET", "/tasks")
        return bool(answer == {"tasks": ["brand_new"]})

    assert await until(answer_is_new)


@pytest.fixture
def harness(make_api: MakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stand-in that a test may change; applications made from now on use it."""
    copy = Path(shutil.copytree(STAND_IN, tmp_path / "harness"))
    monkeypatch.setenv("PYTHONPATH", str(copy))
    return copy


def _publish(harness: Path, version: str, tasks: str) -> None:
    metadata = next(harness.glob("*.dist-info")) / "METADATA"
    metadata.write_text(f"Metadata-Version: 2.1\nName: lmms-eval\nVersion: {version}\n")
    module = harness / "lmms_eval" / "tasks.py"
    module.write_text(module.read_text().replace('["mme", "ai2d"]', tasks))
