"""Pictures of every page of a running demo, light, dark and 380 pixels wide: `python -m tests.browser.pictures DIR`.

The demo is the one in $DATA (else var/demo). Somebody looks at them and asks: would I pay for this?
"""

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import hand
from tests.browser.conftest import CHROMIUM, QUIET
from tests.browser.demo import PROJECT, Demo
from tests.browser.visitors import Visitors

Theme = Literal["light", "dark"]
LOOKS: tuple[tuple[str, Theme, int], ...] = (("light", "light", 1280), ("dark", "dark", 1280), ("380", "light", 380))


SHEET = """<style>
  body {{ margin: 0; height: 100vh; background: #d5e0f2; }}
  img {{ position: absolute; border-radius: 12px; box-shadow: 0 2px 10px #1a2b4a55; }}
  img:first-of-type {{ left: 36px; top: 36px; }} img:last-of-type {{ right: 36px; bottom: 36px; }}
</style><img src="data:image/png;base64,{}"><img src="data:image/png;base64,{}">"""


def main(folder: Path) -> None:
    """All of them."""
    data = Path(os.environ.get("DATA") or PROJECT / "var" / "demo")
    card: dict[str, Any] = json.loads((data / "demo.json").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        people = Visitors(browser, Demo(data, str(card["url"]), card))
        of_administration(people.signs_in("admin"), folder)
        of_the_portal(people, folder)
        for_the_readme(people, folder)
        browser.close()
    sys.stdout.write("\n".join([*people.complaints, f"The pictures are in {folder}.", ""]))


def of_administration(page: Page, folder: Path) -> None:
    """The menu, and what is behind it."""
    for label in hand.menu(page):
        page.goto("/dashboard/")
        hand.choose(page, label)
        take(page, folder)
        for address in hand.behind(page):
            page.goto(address)
            take(page, folder)
    for address in hand.UNLISTED:
        page.goto(address)
        take(page, folder)


def of_the_portal(people: Visitors, folder: Path) -> None:
    """Sign-in, and what users see."""
    page = people.arrives()
    page.goto("/")
    take(page, folder)
    for name in ("alice", "bob"):
        take(people.signs_in(name), folder, name)


def for_the_readme(people: Visitors, folder: Path) -> None:
    """Resources > Desktops, and in front of it the same desktop as its user sees it."""
    admin = people.signs_in("admin", viewport={"width": 1400, "height": 800})
    hand.choose(admin, "Desktops")
    expect(hand.row(admin, "Bob Baker")).to_be_visible()
    user = people.signs_in("bob", viewport={"width": 400, "height": 610})
    both = [base64.b64encode(page.screenshot()).decode() for page in (admin, user)]
    sheet = people.arrives(viewport={"width": 1680, "height": 920})
    sheet.set_content(SHEET.format(*both))
    sheet.screenshot(path=folder / "desktops.png")


def take(page: Page, folder: Path, name: str = "") -> None:
    """Three pictures of what stands there now."""
    where = re.sub(r"\W+", "-", page.url.partition("//")[2].partition("/")[2]).strip("-") or "sign-in"
    for look, theme, width in LOOKS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        page.set_viewport_size({"width": width, "height": page.evaluate("document.scrollingElement.scrollHeight")})
        page.screenshot(path=folder / f"{name + '-' if name else ''}{where}-{look}.png")
    page.set_viewport_size({"width": 1280, "height": 900})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
