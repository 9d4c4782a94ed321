"""The choice of a theme: the system's, light or dark."""

import pytest
from playwright.async_api import Page

from tests.browser import Visit, open_browser
from tests.support import ServerProcess

LIGHT, DARK = "rgb(246, 247, 249)", "rgb(18, 22, 29)"


async def background(page: Page) -> str:
    """Return the color of the page's ground."""
    color = await page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    return str(color)


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "color"), [("light", LIGHT), ("dark", DARK)])
async def test_the_theme_is_the_system_s_by_default(
    server: ServerProcess, scheme: str, color: str
) -> None:
    async with server, open_browser(color_scheme=scheme) as visit:
        await visit.page.goto(server.url)

        assert await background(visit.page) == color


@pytest.mark.browser
async def test_a_chosen_theme_applies_at_once(server: ServerProcess, visit: Visit) -> None:
    async with server:
        await visit.page.goto(server.url)

        await visit.page.get_by_label("Theme").select_option("dark")

        assert await background(visit.page) == DARK


@pytest.mark.browser
@pytest.mark.parametrize("path", ["/ui/jobs", "/login"])
async def test_a_chosen_theme_is_remembered(server: ServerProcess, visit: Visit, path: str) -> None:
    async with server:
        await visit.page.goto(server.url)
        await visit.page.get_by_label("Theme").select_option("dark")

        await visit.page.goto(server.url + path)

        assert await background(visit.page) == DARK
