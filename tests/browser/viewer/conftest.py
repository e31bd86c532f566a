"""One stage for all tests of the viewer, and people who come to it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import FAILED
from tests.browser.demo import Demo
from tests.browser.viewer.screen import Screen
from tests.browser.viewer.stage import Stage, staged
from tests.browser.visitors import Visitors

SIZE = {"width": 1100, "height": 720}
FAILING = re.compile(r"WebSocket connection to|net::ERR_|\b(409|502|503)\b")


@pytest.fixture(scope="session")
def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Broker, gateways, desktops."""
    with staged(tmp_path_factory.mktemp("viewer")) as standing:
        yield standing


class People(Visitors):
    """Visitors whose browser trusts the gateways' certificates and may use the clipboard."""

    stage: Stage
    trouble_expected: bool = False  # a connection is cut: the browser says so, too

    def comes(self, to: str = "", **options: Any) -> Page:
        """Sign in: at the first gateway, or elsewhere."""
        where = to or self.stage.gateways[0].url
        page = self.arrives(**{"ignore_https_errors": True, "viewport": SIZE, "base_url": where, **options})
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=where)
        page.goto("/")
        page.get_by_label("User name").fill(self.stage.login)
        page.get_by_label("Password").fill(self.stage.password)
        page.get_by_role("button", name="Sign In").click()
        return page

    def opens(self, page: Page, desktop: str = "Desk") -> Screen:
        """Press the desktop's button; the viewer comes."""
        page.get_by_role("article", name=desktop).get_by_role("button", name=re.compile("onnect$")).click()
        return Screen(page)


@pytest.fixture
def people(browser: Browser, stage: Stage, request: pytest.FixtureRequest) -> Iterator[People]:
    """People with browsers."""
    told = Demo(stage.broker.data, stage.gateways[0].url, {})
    come = People(browser, told)
    come.stage = stage
    yield come
    if request.node.stash.get(FAILED, False):
        come.leave_evidence(re.sub(r"[^\w-]+", "-", request.node.name))
    come.go()
    left = [each for each in come.complaints if not (come.trouble_expected and FAILING.search(each))]
    assert left == []
