"""People with browsers. Each has a window of their own; whatever their browser complains about fails the test."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Response, expect

from tests.browser.demo import PROJECT, Demo

EVIDENCE = PROJECT / "var" / "test-browser"
PATIENCE = 20_000  # ms for what one click does
expect.set_options(timeout=PATIENCE)
ANY_DOMAIN = "Any domain"
TELL_VIOLATIONS = """addEventListener('securitypolicyviolation',
    event => console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI))"""
# Chromium writes a line for each answer above 399. Refusals with a page of their own are answers like any other;
# a failed request for anything else is told by `Visitors.answered`.
STATUS_LINE = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")


@dataclass
class Visitors:
    """All windows of one test."""

    browser: Browser
    demo: Demo
    windows: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    refusals_expected: bool = False  # a poll may be told that the sign-in has ended

    @property
    def through_the_gateway(self) -> dict[str, Any]:
        """What `arrives` is told of people who come by the gateway's address: its certificate is its own."""
        return {"base_url": self.demo.card["gateway"], "ignore_https_errors": True}

    def arrives(self, **options: Any) -> Page:
        """Somebody opens a window."""
        window = self.browser.new_context(
            reduced_motion="reduce",
            **{"base_url": self.demo.url, "viewport": {"width": 1280, "height": 900}, **options},
        )
        window.set_default_timeout(PATIENCE)
        if options.get("java_script_enabled", True):
            window.add_init_script(TELL_VIOLATIONS)
        window.on("console", self.said)
        window.on("weberror", lambda error: self.complaints.append(f"{error.page and error.page.url}: {error.error}"))
        window.on("response", self.answered)
        self.windows.append(window)
        return window.new_page()

    def signs_in(self, name: str, domain: str = ANY_DOMAIN, **options: Any) -> Page:
        """Somebody opens a window and signs in."""
        page = self.arrives(**options)
        page.goto("/")
        sign_in(page, name, self.demo.password(name), domain)
        expect(page.get_by_label("Account")).to_be_visible()
        return page

    def said(self, message: ConsoleMessage) -> None:
        """A line in the console: errors and warnings count."""
        if message.type in ("error", "warning") and not STATUS_LINE.match(message.text):
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")

    def answered(self, response: Response) -> None:
        """No page may break, and none may ask for what is not there."""
        part = response.status >= 400 and not response.request.is_navigation_request()
        if response.status >= 500 or (part and not (self.refusals_expected and response.status == 401)):
            self.complaints.append(f"{response.request.method} {response.url}: {response.status}")

    def leave_evidence(self, name: str) -> None:
        """A picture and the text of each window and the ends of the logs, for somebody who was not there."""
        EVIDENCE.mkdir(parents=True, exist_ok=True)
        pages = [page for window in self.windows for page in window.pages if not page.is_closed()]
        for number, page in enumerate(pages, 1):
            keep(page, EVIDENCE / f"{name}-{number}")
        for log in ("web", "worker"):
            lines = (self.demo.data / "log" / f"{log}.log").read_text(encoding="utf-8", errors="replace").splitlines()
            (EVIDENCE / f"{name}-{log}.log").write_text("\n".join(lines[-40:]), encoding="utf-8")
        sys.stdout.write(f"Pictures of {len(pages)} windows, and the broker's log: {EVIDENCE}/{name}-*\n")

    def go(self) -> None:
        """Everybody closes their windows."""
        for window in self.windows:
            window.close()


def keep(page: Page, path: Path) -> None:
    """Save what the page shows."""
    try:
        page.screenshot(path=path.with_suffix(".png"), full_page=True)
        text = f"{page.url}\n\n{page.locator('body').inner_text(timeout=2000)}\n"
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
    except Error as error:
        path.with_suffix(".txt").write_text(f"{page.url}\n\n{error}\n", encoding="utf-8")


def sign_in(page: Page, name: str, password: str, domain: str = ANY_DOMAIN) -> None:
    """Fill in the sign-in form and send it. It asks for a domain where there are several."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    if page.get_by_label("Domain").count():
        page.get_by_label("Domain").select_option(domain)
    page.get_by_role("button", name="Sign In").click()
