"""A real browser for tests: Debian's Chromium, and what a page did in it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import ConsoleMessage, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
"""Where ``./scripts/test`` put it; None if it is not there."""

AXE = Path(__file__).parent / "axe-core" / "axe.min.js"

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""It runs as root in a container, and asks nobody outside for anything."""

MAX_WAIT_MS = 120_000
"""How long a test waits for a page: a busy machine takes many times as long as an idle one."""

expect.set_options(timeout=MAX_WAIT_MS)


@dataclass
class Visit:
    """A page, and what went on in it so far: the console's errors (violations of the content
    security policy are among them), exceptions, and the addresses that were asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def browsing(**context: Any) -> AsyncIterator[Visit]:
    """An empty page in a browser of its own; ``context`` is playwright's, such as the viewport."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            page = await browser.new_page(**context)
            page.set_default_timeout(MAX_WAIT_MS)
            visit = Visit(page)
            _listen(visit)
            yield visit
        finally:
            await browser.close()


async def runs_a_script_of_its_own(page: Page) -> bool:
    """Does a script run that is written into the page itself?"""
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )
    return bool(await page.evaluate("() => window.ran === true"))


async def barriers(page: Page) -> list[str]:
    """What keeps people from using a page, as axe-core finds: serious faults and worse."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("() => axe.run()")
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def _listen(visit: Visit) -> None:
    visit.page.on("console", lambda said: _keep_error(visit, said))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("request", lambda request: visit.requests.append(request.url))


def _keep_error(visit: Visit, said: ConsoleMessage) -> None:
    if said.type == "error":
        visit.errors.append(said.text)
