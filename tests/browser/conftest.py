"""One demo and one Chromium for all browser tests; what browsers complained about fails the test."""

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.demo import Demo, running_demo
from tests.browser.visitors import Visitors
from tests.parts import absent

CHROMIUM = Path("/usr/bin/chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HURRIED = {"pending": 6.0, "starting": 4.0, "stopping": 3.0, "describe_lag": 1.0, "power_lag": 0.5}  # seconds
FAILED = pytest.StashKey[bool]()
# Playwright leaves its event loop in this thread for the rest of the run; the database is none the worse for it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember for the fixtures' end whether the test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """Debian's Chromium. Where it is missing the tests are skipped for all to see; in CI that is a failure."""
    if not CHROMIUM.exists():
        absent(f"{CHROMIUM} is missing: apt-get install chromium")
    return {"executable_path": str(CHROMIUM), "args": QUIET}


@pytest.fixture(scope="session")
def demo(browser: Browser) -> Iterator[Demo]:
    """The demo, started once, ended by Ctrl-C. Its AWS is in a hurry: what it shows must not take long."""
    with running_demo() as started:
        started.aws.timings(**HURRIED)
        yield started


@pytest.fixture(scope="session")
def seat(browser: Browser, demo: Demo) -> Any:
    """What a browser remembers in which the administrator has signed in."""
    people = Visitors(browser, demo)
    state = people.signs_in("admin").context.storage_state()
    people.go()
    return state


@pytest.fixture
def admin(visitors: Visitors, seat: Any) -> Page:
    """The administrator, signed in."""
    return visitors.arrives(storage_state=seat)


@pytest.fixture
def visitors(browser: Browser, demo: Demo, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """People with browsers."""
    people = Visitors(browser, demo)
    yield people
    if request.node.stash.get(FAILED, False):
        people.leave_evidence(re.sub(r"[^\w-]+", "-", request.node.name))
    people.go()
    assert people.complaints == []
