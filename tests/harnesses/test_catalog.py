"""The versions of harnesses: concurrent requests share one interpreter."""

import asyncio
import sys
from pathlib import Path

from evalserver.engines import make_engines
from evalserver.executors import LocalExecutor
from evalserver.harnesses.catalog import Catalog
from evalserver.store import Store


async def test_concurrent_version_requests_share_one_interpreter(
    store: Store, tmp_path: Path
) -> None:
    counted = tmp_path / "counted"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho x >> "{counted}"\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o700)
    catalog = Catalog(store, make_engines(str(program), None, {}), {}, LocalExecutor())

    asked = [catalog.version("lmms_eval") for _ in range(30)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    again = await asyncio.gather(catalog.version("lmms_eval"), return_exceptions=True)
    await catalog.close()

    assert counted.read_text() == "x\n"
    assert len({str(answer) for answer in [*answers, *again]}) == 1
