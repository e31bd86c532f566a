"""What a person does with pages: choose from the menu, look into a table, wait until something stands there."""

import re
import time

from playwright.sync_api import Locator, Page, expect

UNLISTED = ["/demo/", "/search/?search=bob", "/no-such-page/"]
# What is behind an entry of the menu: its buttons in the head, the page of its first row, and that page's tabs.
BEHIND = "main .page-actions a[href], main tbody tr:first-child a.name, main nav.tabs a[href]"
WORLD = 90.0  # seconds for what machines need: a WorkSpace that is made, started or stopped


def by_file(user: Page) -> None:
    """Connect by a connection file, from the card's menu: Connect itself leads to the desktop in the browser."""
    button = user.get_by_role("button", name="Connect by an RDP file").first
    if not button.is_visible():  # a download leaves the menu open
        user.get_by_label("More for").first.click()
    button.click()


def in_the_browser(user: Page, timeout: float = WORLD * 1000) -> None:
    """Wait until the desktop is there, in the page."""
    user.wait_for_url("**/launches/*/viewer/", timeout=timeout)
    expect(user.locator("#viewer")).to_have_attribute("data-state", "connected", timeout=timeout)


def choose(page: Page, label: str) -> None:
    """An entry of the menu."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name=label, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(label)


def menu(page: Page) -> list[str]:
    """The entries of the menu."""
    return page.get_by_role("navigation", name="Main").get_by_role("link").filter(visible=True).all_inner_texts()


def behind(page: Page) -> list[str]:
    """The addresses of the pages behind this one; not the same list narrowed, nor what the menu leads to by itself."""
    found = page.locator(BEHIND).evaluate_all("links => links.map(link => link.pathname)")
    listed = page.get_by_role("navigation", name="Main").get_by_role("link")
    return sorted({*found} - {*listed.evaluate_all("links => links.map(link => link.pathname)")})


def group(page: Page, title: str) -> Locator:
    """A section of a form."""
    return page.get_by_role("group", name=title, exact=True)


def save(page: Page, told: str | re.Pattern[str]) -> None:
    """Save, and read that it worked."""
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text(told)


def row(page: Page, text: str) -> Locator:
    """The row of a table in which this stands."""
    return page.get_by_role("row").filter(has_text=text)


def cell(line: Locator, column: str) -> Locator:
    """What stands in a row under a head."""
    return line.get_by_role("cell", name=column, exact=True)


def comes(what: Locator, seconds: float = WORLD) -> None:
    """Look again and again, as people press F5, until it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            expect(what.first).to_be_visible(timeout=3000)
            return
        except AssertionError:
            what.page.reload()
    expect(what.first).to_be_visible(timeout=1)


def add_items(page: Page, noun: str, *labels: str | re.Pattern[str]) -> None:
    """Move entries from Available to Selected."""
    available = page.get_by_label(f"Available {noun}")
    for label in labels:
        available.get_by_role("option", name=label).click()
        page.get_by_role("button", name="Add item").click()
        selected = page.get_by_label(f"Selected {noun}")
        expect(selected.get_by_role("option", name=label)).to_have_count(1)


def facts(section: Locator) -> dict[str, str]:
    """What a list of terms says: {term: text}."""
    terms = section.locator("dt").all_inner_texts()
    details = [each.locator("code").first if each.locator("code").count() else each
               for each in section.locator("dd").all()]  # fmt: skip
    return dict(zip(terms, [each.inner_text().strip() for each in details], strict=True))
