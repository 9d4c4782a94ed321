"""The launcher of lmms-eval, with packages that have the shapes of other versions: a repair that
does not fit is left out, and the log says so."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from evalserver.engines.in_harness import lmms_eval_exact
from evalserver.engines.lmms_eval import LmmsEval

Modules = dict[str, str]

MAIN = """
import json, sys
print(json.dumps(sys.argv[1:]))
"""
UTILS = """
def handle_arg_string(text):
    return text
"""

OLDER_CACHE = """
import json, sqlite3

def extract_gen_kwargs(request):
    return request.gen_kwargs

class ResponseCache:
    def __init__(self, path, model_fingerprint=""):
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE meta (fingerprint)")
        self.db.execute("CREATE TABLE responses (number, response)")
        self.db.execute("INSERT INTO meta VALUES (?)", [model_fingerprint])
        self.db.commit()

    def _log_to_audit(self, number, response, *, cache_key=""):
        pass

    @staticmethod
    def _is_valid_response(response, request_type):
        return True

    def execute(self, lm, reqtype, requests):
        responses = lm(requests)
        for request, response in zip(requests, responses):
            self.db.execute("INSERT INTO responses VALUES (?, ?)", [request.number, response])
            self.db.commit()
        return responses
"""
"""As in 0.6.1 and 0.7: it opens its files as it is made, and knows of no ranks."""

INTERRUPTED_MAIN = """
import os, sys
from types import SimpleNamespace
from lmms_eval.caching.response_cache import ResponseCache

def model(requests):
    if requests[-1].number > 20:
        os._exit(7)
    return ["answer"] * len(requests)

requests = [SimpleNamespace(number=number, gen_kwargs={}) for number in range(40)]
cache = ResponseCache("cache.db", model_fingerprint="api_key=" + "sk-secret")
cache.execute(model, "generate_until", requests)
"""


def test_arguments_that_need_no_decoder_reach_a_version_without_one(tmp_path: Path) -> None:
    done = _launched(tmp_path, {"utils.py": ""}, "--model=dummy", "--tasks=mme")

    assert json.loads(done.stdout.splitlines()[-1]) == ["--model=dummy", "--tasks=mme"]
    assert "going on without exact arguments" in done.stderr


def test_an_encoded_argument_never_reaches_a_version_that_cannot_decode_it(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"model_args": f"x={lmms_eval_exact.encode('a,b')}"}))

    done = _launched(tmp_path, {"utils.py": ""}, f"--config={config}")

    assert done.returncode == 1
    assert "handle_arg_string" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


@pytest.mark.parametrize(
    "modules",
    [{}, {"caching/__init__.py": "", "caching/response_cache.py": "class ResponseCache: pass"}],
    ids=["no cache", "another cache"],
)
def test_a_version_with_another_cache_goes_on_without_it(tmp_path: Path, modules: Modules) -> None:
    done = _launched(tmp_path, modules, "--tasks=mme", "--use_cache=/data/cache")

    assert json.loads(done.stdout.splitlines()[-1]) == ["--tasks=mme"]
    assert "going on without a response cache" in done.stderr


def test_a_version_that_finds_tasks_in_another_way_gets_the_path_as_it_is(tmp_path: Path) -> None:
    done = _launched(tmp_path, {"tasks.py": ""}, "--tasks=/lab/task.yaml")

    assert json.loads(done.stdout.splitlines()[-1]) == ["--tasks=/lab/task.yaml"]
    assert "going on without tasks by the path of their file" in done.stderr


def test_an_older_cache_keeps_the_answers_of_each_part(tmp_path: Path) -> None:
    _launched_with_older_cache(tmp_path)

    assert len(_column(tmp_path / "cache.db", "number FROM responses")) == 16


def test_an_older_cache_stores_no_secret(tmp_path: Path) -> None:
    _launched_with_older_cache(tmp_path)

    [fingerprint] = _column(tmp_path / "cache.db", "fingerprint FROM meta")
    assert len(fingerprint) == 64


def _launched_with_older_cache(place: Path) -> None:
    modules = {"caching/__init__.py": "", "caching/response_cache.py": OLDER_CACHE}
    done = _launched(
        place, {**modules, "__main__.py": INTERRUPTED_MAIN}, "--use_cache=/data/job/cache"
    )
    assert done.returncode == 7, done.stderr


def _column(database: Path, selected: str) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(f"SELECT {selected}")]


def _launched(place: Path, modules: Modules, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a version of lmms-eval that has these modules."""
    usual = {"__init__.py": "", "__main__.py": MAIN, "utils.py": UTILS}
    for name, text in {**usual, **modules}.items():
        path = place / "lmms_eval" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run(
        [sys.executable, *LmmsEval.program, *argv],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )
