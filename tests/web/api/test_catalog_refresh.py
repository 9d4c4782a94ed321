"""``POST /catalog/refresh``: harnesses are asked again."""

import sqlite3
from pathlib import Path

from tests.support import Api


async def test_a_refresh_reports_what_each_harness_answered(api: Api) -> None:
    answer = await api.call("POST", "/catalog/refresh")

    found = {each["engine"]: each for each in answer["engines"]}
    assert set(found) == {"lmms_eval", "lm_eval", "inspect"}
    assert (found["lmms_eval"]["tasks"], found["lmms_eval"]["models"]) == (2, 1)
    assert (found["lmms_eval"]["version"], found["lmms_eval"]["error"]) == ("0.0.0", None)
    assert "lm-eval is not installed" in found["lm_eval"]["error"]


async def test_one_engine_can_be_named(api: Api) -> None:
    answer = await api.call("POST", "/catalog/refresh?engine=lmms_eval")

    assert [each["engine"] for each in answer["engines"]] == ["lmms_eval"]


async def test_an_unknown_engine_is_rejected(api: Api) -> None:
    await api.call("POST", "/catalog/refresh?engine=helm", 422)


async def test_a_refresh_is_in_the_log_of_the_server(api: Api, data_dir: Path) -> None:
    await api.call("POST", "/catalog/refresh?engine=lmms_eval")

    with sqlite3.connect(data_dir / "evalserver.db") as database:
        rows = database.execute("SELECT event, actor, detail FROM server_events").fetchall()
    assert rows == [("catalog_refreshed", "anonymous", '{"engines":["lmms_eval"]}')]
