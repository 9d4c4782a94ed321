"""A real browser for tests: Debian's Chromium, with a record of errors and requests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import ConsoleMessage, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium")
"""The browser that ``./scripts/test`` installs; None without it."""

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
"""Run as root in a container, without requests to other servers."""

MAX_WAIT_MS = 120_000
"""How long a test waits for a page: a busy machine takes many times as long as an idle one."""

expect.set_options(timeout=MAX_WAIT_MS)


@dataclass
class Visit:
    """A page with its console errors (content security policy violations among them), exceptions
    and requested URLs so far."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def open_browser(**context: Any) -> AsyncIterator[Visit]:
    """Open an empty page in a new browser; ``context`` has playwright's options (viewport)."""
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


async def runs_inline_script(page: Page) -> bool:
    """Whether an inline script runs in the page."""
    await page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
        }"""
    )
    return bool(await page.evaluate("() => window.ran === true"))


async def accessibility_violations(page: Page) -> list[str]:
    """Return the serious and critical accessibility violations that axe-core finds."""
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
