"""Is a page fit to use: accessible in light and in dark, and no wider than a telephone?"""

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

SERIOUS = ("serious", "critical")
NARROW, WIDE = ViewportSize(width=380, height=800), ViewportSize(width=1280, height=900)


def troubles(page: Page) -> Iterator[str]:
    """What is wrong with the page as it stands, in words."""
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    yield from violations(page, "light", {})
    page.emulate_media(color_scheme="dark")
    yield from violations(page, "dark", {"runOnly": ["color-contrast"]})
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        wide, shown = page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
        if wide > shown:
            yield f"{page.url}: {wide} pixels wide on {shown}: {sticking_out(page)}"
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")


def violations(page: Page, theme: str, options: dict[str, Any]) -> Iterator[str]:
    """What axe finds serious or critical; of what is in order it says no more than that: half of the time."""
    for each in Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]:
        if each["impact"] in SERIOUS:
            where = [node["html"][:150] for node in each["nodes"][:3]]
            yield f"{page.url} ({theme}): {each['id']}: {each['help']}: {where}"


def sticking_out(page: Page) -> Any:
    """The elements that are too wide."""
    return page.evaluate(
        """[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
           && ![...document.querySelectorAll('.table-wrap')].some(w => w.contains(e))).slice(0, 3)
           .map(e => e.outerHTML.slice(0, 120))"""
    )
