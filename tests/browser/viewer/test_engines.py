"""The other ways into a desktop: rendered at the gateway, VNC, SSH. Real servers, a real browser, a gateway between."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.fitness import troubles
from tests.browser.viewer.conftest import People
from tests.browser.viewer.stage import Stage
from tests.browser.viewer.test_desktop import copied_both_ways, written
from tests.browser.viewer.wire import Wire, forms
from tests.gateway_program.painter import BLUE, RED, Rectangle
from tests.gateway_program.vnc.servers import PASSWORD
from tests.services import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 30  # seconds, on a machine that others use, too


def test_a_desktop_rendered_at_the_gateway_is_used_and_found_again(people: People, stage: Stage) -> None:
    page = people.comes()
    wire = Wire(page)
    screen = people.opens(page, "Rendered")
    screen.comes()
    stage.terminal()
    screen.types("echo $$ > rendered; echo 'It is here: <>|~' > seen")
    assert written(stage.home / "seen") == "It is here: <>|~"
    screen.canvas.hover(position={"x": 700, "y": 555})
    wait_for(lambda: "x:700 y:555" in stage.desktop.run("xdotool", "getmouselocation"), SOON, "the mouse")
    copied_both_ways(screen, stage)
    assert list(troubles(page)) == []
    screen.tool("Disconnect").click()
    screen.says("You have disconnected.")
    screen.button("Reconnect").click()
    screen.comes()
    screen.types("echo $$ > again")
    assert written(stage.home / "again") == written(stage.home / "rendered")
    assert wire.holds(stage.password) == []
    assert not any(form in stage.logs().encode() for form in forms(stage.password))


def test_a_vnc_server_asks_for_its_password_and_shows_its_screen(people: People, stage: Stage) -> None:
    page = people.comes()
    wire = Wire(page)
    screen = people.opens(page, "VNC")
    screen.is_("needs")
    screen.says("Enter the password of the desktop's VNC server.")
    page.get_by_label("Password").fill(PASSWORD)
    with stage.vnc.painter() as painter:
        at = Rectangle(100, 80, 60, 40)
        painter.fill(at, RED)
        screen.button("Connect").click()
        screen.comes()
        screen.shows([(at, RED)])
        painter.fill(at, BLUE)
        screen.shows([(at, BLUE)])
        stage.vnc.clipboard.copy("from the desktop")
        wait_for(lambda: screen.clipboard() == "from the desktop", SOON, "what the desktop copied")
        said = [where for where, _ in wire.chunks if where == "websocket"]
        assert said and "websocket" not in wire.holds(PASSWORD)
    stage.vnc.clipboard.release()


def test_a_terminal_by_ssh_is_typed_in_fits_the_window_and_ends_with_the_shell(people: People, stage: Stage) -> None:
    page = people.comes()
    wire = Wire(page)
    screen = people.opens(page, "Shell")
    screen.comes()
    there = f"/home/{stage.shell.user}"
    page.keyboard.type(f"stty size > {there}/size; id -un > {there}/name\n")
    assert written(path_of(stage, "name")) == stage.shell.user
    before = written(path_of(stage, "size"))
    page.set_viewport_size({"width": 700, "height": 500})
    page.keyboard.type(f"while test \"$(stty size)\" = '{before}'; do sleep 0.1; done; echo done > {there}/smaller\n")
    assert written(path_of(stage, "smaller")) == "done"
    screen.copies(f"echo pasted > {there}/pasted")
    page.keyboard.press("Control+v")
    page.keyboard.press("Enter")
    assert written(path_of(stage, "pasted")) == "pasted"
    assert list(troubles(page)) == []
    page.keyboard.type("exit\n")
    screen.says(re.compile("The shell on the desktop has ended"))
    assert wire.holds(stage.shell.password) == []
    expect(page.get_by_role("button", name="Reconnect").first).to_be_visible()


def path_of(stage: Stage, name: str) -> Path:
    """A file of the user who is signed in by SSH."""
    return Path(f"/home/{stage.shell.user}") / name


def test_a_terminal_takes_and_gives_no_clipboard_where_the_policy_says_so(people: People, stage: Stage) -> None:
    stage.run("changed", clipboard="none")
    try:
        screen = people.opens(people.comes(), "Shell")
        screen.comes()
        screen.copies("echo not for the desktop > stolen")
        screen.page.keyboard.press("Control+v")
        screen.page.keyboard.press("Enter")
        screen.page.keyboard.type("echo > after\n")
        wait_for(path_of(stage, "after").exists, SOON, "what was typed meanwhile")
        assert not path_of(stage, "stolen").exists()
    finally:
        stage.run("changed", clipboard="both")
