"""A program on the user's device connects by a file from the portal, through a gateway's port, to a real desktop."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.agent_program.xrdp_world import screen
from tests.browser.viewer.conftest import People
from tests.browser.viewer.screen import LOSSY
from tests.browser.viewer.stage import Gateway, Stage
from tests.gateway_program.painter import BLUE, RED, Painter, Rectangle, near, picture
from tests.services import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 60  # seconds, on a machine that others use, too
AREA = Rectangle(100, 100, 200, 150)


def file(page: Page, folder: Path) -> Path:
    """One click on the desktop's button, and the file is there."""
    with page.expect_download() as coming:
        page.get_by_role("article", name="Native").get_by_role("button", name="Reconnect").click()
    coming.value.save_as(folder / "desktop.rdp")
    return folder / "desktop.rdp"


def named_in(path: Path, stage: Stage) -> Gateway:
    """The gateway whose address and whose port the file has."""
    found = re.search(r"(?m)^full address:s:127\.0\.0\.1:(\d+)\r?$", path.read_text())
    assert found is not None, path.read_text()
    (gateway,) = [each for each in stage.gateways if int(found[1]) in each.ports]
    return gateway


@contextmanager
def opened(path: Path, stage: Stage, display: str) -> Iterator["subprocess.Popen[bytes]"]:
    """FreeRDP, as when somebody double-clicks the file and types the password."""
    command = ["xfreerdp", str(path), f"/p:{stage.password}", "/cert:ignore", "/size:640x480", "-f"]
    there = {**os.environ, "DISPLAY": display, "HOME": str(path.parent)}
    with path.with_suffix(".log").open("ab") as log:
        client = subprocess.Popen(command, env=there, stdout=log, stderr=log)
    try:
        yield client
    finally:
        client.kill()
        client.wait()


def shown(painter: Painter, colour: int, display: str) -> None:
    """What is painted on the desktop comes to the client's screen."""
    painter.fill(AREA, colour)
    wait_for(lambda: near(picture(display).at(200, 170), colour, LOSSY), PATIENCE, "the client shows the desktop")


def test_when_a_gateway_dies_one_click_gives_a_file_that_leads_to_the_same_session_through_another(
    people: People, stage: Stage, tmp_path: Path
) -> None:
    page = people.comes(stage.url)
    first = file(page, tmp_path)
    used, display = named_in(first, stage), screen(stage.desktop.desktop)
    with opened(first, stage, display) as client, stage.desktop.painter() as painter:
        shown(painter, RED, display)
        used.end(signal.SIGKILL)
        try:
            client.kill()
            second = file(page, tmp_path)
            assert named_in(second, stage) is not used
            with opened(second, stage, display):
                shown(painter, BLUE, display)  # by the painter that the session has had all the time
        finally:
            used.start()
