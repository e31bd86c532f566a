"""A day with a desktop in the browser: the seed's chapter 7, at the gateway's address, on a real one."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, expect

from agents.program.linux.xidle import IdleTime
from tests.browser.fitness import troubles
from tests.browser.viewer.conftest import People
from tests.browser.viewer.screen import Screen
from tests.browser.viewer.stage import Stage
from tests.browser.viewer.wire import Wire, forms
from tests.gateway_program.painter import GROUND, Rectangle
from tests.services import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 30  # seconds, on a machine that others use, too
JWT = re.compile(rb"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
FETCHED = """() => performance.getEntriesByType("resource").some(
  ({name, responseEnd}) => name.endsWith("ironrdp.wasm") && responseEnd)"""


def written(path: Path) -> str:
    """What a command on the desktop left behind, when it has."""
    wait_for(lambda: path.exists() and path.read_text() != "", SOON, path.name)
    return path.read_text().strip()


@pytest.fixture
def desk(people: People, stage: Stage) -> Iterator[tuple[Screen, Wire]]:
    """The desktop, opened by somebody who has signed in at the gateway; everything on the wire since then."""
    page = people.comes()
    wire = Wire(page)
    expect(page.get_by_role("heading", name="Your desktops")).to_be_visible()
    page.wait_for_function(FETCHED)  # ahead, while nobody waits for it
    screen = people.opens(page)
    screen.comes()
    stage.terminal()
    yield screen, wire
    assert wire.holds(stage.password) == []


def test_a_day_with_a_desktop(desk: tuple[Screen, Wire], stage: Stage) -> None:
    screen, wire = desk
    ground = [(Rectangle(x, 640, 40, 40), GROUND) for x in (20, 500, 1000)]
    screen.shows(ground)
    screen.types("echo $$ > first; echo 'It is here: <>|~' > typed")
    assert written(stage.home / "typed") == "It is here: <>|~"
    screen.canvas.hover(position={"x": 700, "y": 555})
    wait_for(lambda: "x:700 y:555" in stage.desktop.run("xdotool", "getmouselocation"), SOON, "the mouse")
    copied_both_ways(screen, stage)
    screen.tool("Disconnect").click()
    screen.says("You have disconnected.")
    screen.button("Reconnect").click()
    screen.comes()
    screen.types("echo $$ > second")
    assert written(stage.home / "second") == written(stage.home / "first")
    assert [where for where, _ in wire.chunks if where == "websocket"]
    logs = stage.logs()
    assert not any(form in logs.encode() for form in forms(stage.password))
    wire.read()
    tokens = JWT.findall(b"\n".join(chunk for _, chunk in wire.chunks))
    assert len(set(tokens)) >= 2 and any("/viewer/v1/rdp" in each for each in wire.addresses())
    assert not JWT.findall("\n".join([*wire.addresses(), logs]).encode())


def copied_both_ways(screen: Screen, stage: Stage) -> None:
    """From the desktop to the browser, and from there to the desktop by Ctrl+V."""
    stage.desktop.run("sh", "-c", "printf 'from the desktop' | xclip -i -selection clipboard >/dev/null 2>&1")
    wait_for(lambda: screen.clipboard() == "from the desktop", SOON, "what the desktop copied")
    screen.copies("from the browser")
    screen.page.keyboard.press("Control+v")
    pasted = ("xclip", "-o", "-selection", "clipboard")
    wait_for(lambda: stage.desktop.run(*pasted) == "from the browser", SOON, "what the browser copied")
    screen.page.keyboard.press("Control+v")  # the shell takes a second one literally
    screen.page.keyboard.press("Control+u")


def test_the_page_is_fit_to_use(desk: tuple[Screen, Wire]) -> None:
    screen, _ = desk
    assert list(troubles(screen.page)) == []


def test_special_keys_reach_the_desktop_from_the_menu(desk: tuple[Screen, Wire], stage: Stage) -> None:
    screen, _ = desk
    screen.types("cat -v > keys; echo done > let-go")
    wait_for((stage.home / "keys").exists, SOON, "the terminal listens")
    for name in ("Ctrl+Alt+Del", "Esc"):
        screen.tool("Keys").click()
        screen.page.get_by_role("button", name=name, exact=True).click()
    screen.page.keyboard.press("Enter")
    screen.page.keyboard.press("Control+d")
    assert written(stage.home / "let-go") == "done"
    assert written(stage.home / "keys") == "^[[3;7~^["  # as xterm says Delete with Ctrl and Alt, then Esc


def test_keys_that_the_browsers_own_desktop_would_take_reach_the_other_one(
    desk: tuple[Screen, Wire], stage: Stage
) -> None:
    """Two windows over there: Alt+Tab goes from one to the other, Alt+F4 closes the one in front."""
    screen, _ = desk

    def press(name: str) -> None:
        screen.tool("Keys").click()
        screen.page.get_by_role("button", name=name, exact=True).click()

    screen.types("xev -event keyboard > pressed; echo done > closed")
    stage.focus("Event Tester")
    for name in ("Windows key", "Print Screen"):
        press(name)
    for window in ("a desktop", "Event Tester"):
        press("Alt+Tab")
        stage.focus(window)
    press("Alt+F4")
    stage.focus("a desktop")
    assert written(stage.home / "closed") == "done"
    told = written(stage.home / "pressed")
    assert "Super_L" in told and "Print)" in told


def test_buttons_and_the_wheel_of_the_mouse_reach_the_desktop(desk: tuple[Screen, Wire], stage: Stage) -> None:
    screen, _ = desk
    # From now on the terminal tells what the mouse does, until the program there is left.
    screen.types(r"printf '\033[?1000;1006h'; cat -v > mouse; printf '\033[?1000l'; echo done > left")
    wait_for((stage.home / "mouse").exists, SOON, "the terminal listens")
    screen.canvas.hover(position={"x": 300, "y": 300})
    for button in ("left", "middle", "right"):
        screen.page.mouse.down(button=button)
        screen.page.mouse.up(button=button)
    for delta in (-100, 100):
        screen.page.mouse.wheel(0, delta)
    screen.page.keyboard.press("Enter")
    screen.page.keyboard.press("Control+d")
    assert written(stage.home / "left") == "done"
    told = written(stage.home / "mouse")
    found = [(int(button), up) for button, up in re.findall(r"\^\[\[<(\d+);\d+;\d+([Mm])", told)]
    assert found[:6] == [(button, end) for button in range(3) for end in "Mm"]
    assert [button for button, _ in found[6:]] == [64, 65]


def test_the_picture_is_scaled_to_the_window_or_has_its_own_size(desk: tuple[Screen, Wire]) -> None:
    screen, _ = desk
    width = screen.canvas.evaluate("canvas => canvas.width")
    screen.page.set_viewport_size({"width": width // 2, "height": 700})
    shown = "canvas => Math.round(canvas.getBoundingClientRect().width)"
    screen.tool("Display").click()
    screen.page.get_by_label("Actual size").check()
    assert screen.canvas.evaluate(shown) == width
    screen.page.get_by_label("Scale to the window").check()
    assert screen.canvas.evaluate(shown) <= width // 2


def test_it_can_be_worked_with_by_touch_and_with_another_keyboard(people: People, stage: Stage) -> None:
    page = people.comes(has_touch=True, viewport={"width": 1000, "height": 700})
    screen = people.opens(page)
    screen.comes()
    stage.terminal()
    page.touchscreen.tap(777, 666)
    wait_for(lambda: "x:777 y:666" in stage.desktop.run("xdotool", "getmouselocation"), SOON, "the finger")
    page.touchscreen.tap(400, 300)
    stage.terminal()
    screen.tool("On-screen keyboard").click()
    page.keyboard.insert_text("echo by hand > touched\n")
    assert written(stage.home / "touched") == "by hand"
    screen.tool("Keys").click()
    page.get_by_label("Keyboard layout").select_option(label="German")
    screen.is_("connecting")
    screen.comes()
    wait_for(lambda: "layout:     de" in stage.desktop.run("setxkbmap", "-query"), SOON, "the layout")


def test_a_long_press_is_the_right_button_and_two_fingers_scroll(people: People, stage: Stage) -> None:
    screen = people.opens(people.comes(has_touch=True))
    screen.comes()
    stage.terminal()
    hand, told = screen.page.context.new_cdp_session(screen.page), stage.home / "fingers"

    def fingers(kind: str, *places: tuple[int, int]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        hand.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def tells(report: str) -> None:
        wait_for(lambda: told.exists() and report in told.read_text(), SOON, report)

    screen.types(r"printf '\033[?1000;1006h'; stty -icanon; cat -v > fingers")
    wait_for(told.exists, SOON, "the terminal listens")
    fingers("Start", (300, 300))
    tells("[<2;")  # while the finger is still there
    fingers("End")
    fingers("Start", (300, 300), (400, 300))
    fingers("Move", (300, 400), (400, 400))
    tells("[<64;")
    fingers("Move", (300, 200), (400, 200))
    tells("[<65;")
    fingers("End")
    assert "[<0;" not in told.read_text()
    screen.page.keyboard.press("Control+c")  # takes with it what was typed ahead, so the shell is waited for
    wait_for(lambda: "gone" in stage.desktop.run("sh", "-c", "pgrep -fx 'cat -v' || echo gone"), SOON, "the shell")
    screen.types(r"printf '\033[?1000l'; stty icanon; echo done > over")
    assert written(stage.home / "over") == "done"


def test_full_screen_is_full_and_the_desktop_follows_its_size(people: People) -> None:
    page = people.comes()
    screen = people.opens(page)
    screen.comes()
    screen.tool("Display").click()
    page.get_by_label("Always follow the window's size").check()
    screen.tool("Full screen").click()
    page.wait_for_function("document.fullscreenElement?.id === 'viewer'")
    page.set_viewport_size({"width": 1280, "height": 800})  # as a screen does it; Chromium without a head has none
    expect(screen.canvas).to_have_js_property("width", 1280)
    expect(screen.canvas).to_have_js_property("height", 800)
    screen.comes()
    whole = {"x": 0, "y": 0, "width": 1280, "height": 800}
    wait_for(lambda: screen.canvas.bounding_box() == whole, SOON, "a canvas as large as the screen")
    screen.tool("Full screen").click()
    page.wait_for_function("!document.fullscreenElement")


def test_who_leaves_is_told_what_follows_and_asked_first_where_it_may_be_an_accident(people: People) -> None:
    screen = people.opens(people.comes(), "Classic")
    screen.comes()
    page, asked, follows = screen.page, [], "It is shut down 1 hour after you disconnect. It stays yours."
    note = page.get_by_role("alert").filter(has_text=f"When you close this page, you disconnect. {follows}")
    screen.tool("When you leave").click()
    expect(page.get_by_text(follows, exact=True)).to_be_visible()

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    screen.canvas.click()
    page.close(run_before_unload=True)  # as Ctrl+W does that was meant for the desktop
    expect(note).to_be_visible()
    screen.is_("connected")
    screen.tool("Disconnect").click()
    screen.says(f"You have disconnected. {follows}")
    expect(note).to_be_hidden()
    screen.button("Reconnect").click()
    screen.comes()
    screen.tool("Back to your desktops").click()
    expect(page.get_by_role("heading", name="Your desktops")).to_be_visible()
    assert asked == ["beforeunload"]


def test_who_is_idle_is_told_and_says_that_somebody_is_there(people: People, stage: Stage) -> None:
    screen = people.opens(people.comes())
    screen.comes()
    stage.run("idles", "Desk", 3)
    try:
        screen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        banner = screen.page.get_by_role("alert").filter(has_text="You are logged out at")
        expect(banner).to_contain_text(re.compile(r"[23]:\d\d"))  # minutes and seconds, counted down
        shown = banner.inner_text()
        expect(banner).not_to_have_text(shown)
        display = stage.desktop.desktop
        with closing(IdleTime(f":{display.display}", stage.home / ".Xauthority", display.uid)) as idle:
            wait_for(lambda: idle.seconds() >= 2, SOON, "a desktop where nothing happens")
            banner.get_by_role("button", name="I am still here").click()
            wait_for(lambda: idle.seconds() < 2, SOON, "a hand on the mouse")
        expect(banner).to_be_hidden()
    finally:
        stage.run("no_longer_idles")
