"""The examples of docs/engines.md work as printed."""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from evalserver.engines import make_engines
from tests.conftest import MakeApi

GUIDE = (Path(__file__).parents[2] / "docs" / "engines.md").read_text()
PROGRAM = Path(__file__).parents[1] / "programs" / "count_words.py"


def blocks(kind: str) -> list[str]:
    """Return the code blocks of one language, in order."""
    return re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL)


def tables(example: str) -> dict[str, Any]:
    """Return the engine tables of a TOML example, with this interpreter."""
    read: dict[str, Any] = tomllib.loads(example)["engines"]
    for table in read.values():
        table.pop("include_path", None)
        table["python"] = sys.executable
    return read


@pytest.mark.parametrize("example", [0, 1, 2])
def test_the_tables_of_the_guide_are_valid(example: int) -> None:
    shown = tables(blocks("toml")[example])

    assert set(shown) <= set(make_engines("python3", None, shown))


async def test_the_plug_in_of_the_guide_evaluates(
    make_api: MakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch)
    api = await make_api(engines=tables(blocks("toml")[4]))

    job = await api.finished(
        await api.submit(engine="wordcount", tasks=["a"], model_args={"words": 4})
    )
    samples = await api.call("GET", f"/jobs/{job['job_id']}/samples/a?only=right")

    assert job["status"] == "completed", job["error"]
    assert job["result"]["model"]["metrics"]["a"]["exact,none"] == 0.5
    assert [sample["doc_id"] for sample in samples["samples"]] == [1, 3]


async def test_a_plug_in_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, monkeypatch)
    (tmp_path / "word_count.py").write_text("import no_such_module")
    monkeypatch.delitem(sys.modules, "word_count", raising=False)

    with pytest.raises(ValueError, match=r"engines.wordcount: the plug-in word_count:WordCount"):
        make_engines("python3", None, {"wordcount": {}})


def _install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the guide's package and its harness."""
    [plugin] = blocks("python")
    (place / "word_count.py").write_text(plugin)
    metadata = place / "word_count-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: word-count\nVersion: 1.0\n")
    points: dict[str, Any] = tomllib.loads(blocks("toml")[3])["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in points.items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    program = PROGRAM.read_text().replace(
        '"results": {task: {"exact": exact, "exact_stderr": 0.1}',
        '"results": {task: {"exact,none": exact}',
    )
    (place / "wordcount.py").write_text(program)
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setenv("PYTHONPATH", str(place))
