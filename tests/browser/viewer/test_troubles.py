"""What can go wrong with a desktop in the browser, and what the page says and does."""

import shutil
import signal
import socket
import threading

import pytest
from playwright.sync_api import Route, expect

from tests.browser.viewer.conftest import People
from tests.browser.viewer.screen import Screen
from tests.browser.viewer.stage import Stage, restarted
from tests.browser.viewer.test_desktop import written
from tests.browser.viewer.wire import Wire
from tests.browser.visitors import sign_in
from tests.gateway_program import rdp_servers
from tests.services import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON = 30  # seconds, on a machine that others use, too
# The page's first try by itself, a second after the end, would come ahead of a person who is slower than that.
WAITS = "window.setTimeout = ((later) => (what, ms) => later(what, ms === 1000 ? 60_000 : ms))(window.setTimeout)"


def test_a_wrong_password_is_asked_for_again_and_goes_to_the_desktop_by_the_gateway_alone(
    people: People, stage: Stage
) -> None:
    page = people.comes()
    wire = Wire(page)
    screen = people.opens(page, "NLA")
    screen.is_("needs")
    screen.says("password")
    page.get_by_label("User name").fill(stage.servers["NLA"].user)
    page.get_by_label("Password").fill(stage.servers["NLA"].password)
    screen.button("Connect").click()
    screen.comes()
    said = [where for where, _ in wire.chunks if where == "websocket"]
    assert said and not [where for where in wire.holds(stage.servers["NLA"].password) if where == "websocket"]
    page.goto("/desktops/")
    people.opens(page).comes()  # another desktop takes the password of the sign-in, as before


def test_the_clipboard_is_off_where_the_policy_says_so(people: People, stage: Stage) -> None:
    stage.run("changed", clipboard="none")
    try:
        screen = people.opens(people.comes())
        screen.comes()
        stage.terminal()
        screen.copies("not for the desktop")
        screen.page.keyboard.press("Control+v")
        screen.page.keyboard.press("Control+v")
        screen.page.keyboard.press("Control+u")
        stage.desktop.run("sh", "-c", "printf 'not for the browser' | xclip -i -selection clipboard >/dev/null 2>&1")
        screen.types("echo > off")
        wait_for((stage.home / "off").exists, SOON, "what was typed meanwhile")
        assert screen.clipboard() == "not for the desktop"
        assert stage.desktop.run("xclip", "-o", "-selection", "clipboard") == "not for the browser"
        screen.tool("Clipboard").click()
        expect(screen.page.get_by_text("Your administrator has switched the clipboard off")).to_be_visible()
    finally:
        stage.run("changed", clipboard="both")


def test_another_certificate_than_before_is_refused_before_any_password_is_sent(people: People, stage: Stage) -> None:
    page = people.comes()
    people.opens(page).comes()
    folder = stage.desktop.desktop.folder
    kept = [(folder / name, folder / f"{name}.before") for name in ("xrdp.crt", "xrdp.key")]
    for path, before in kept:
        shutil.copy2(path, before)
    try:
        rdp_servers.certificate(*(path for path, _ in kept))
        page.goto("/desktops/")
        screen = people.opens(page)
        screen.is_("ended")
        screen.says("certificate")
    finally:
        for path, before in kept:
            before.rename(path)


def test_a_desktop_that_is_gone_is_waited_for_and_comes_back(people: People, stage: Stage) -> None:
    people.trouble_expected = True
    with socket.create_server(("127.0.0.1", stage.gone)) as listener:
        let = threading.Thread(target=let_in_once, args=(listener,))
        let.start()
        screen = people.opens(people.comes(), "Gone")
        let.join()
    screen.is_("waiting")
    screen.says("Connecting to Gone again")
    screen.says("Connecting again in")
    screen.button("Stop").click()
    screen.says("You have disconnected.")


def test_a_gateway_whose_certificate_the_browser_does_not_know_is_told_with_a_way_out(
    people: People, stage: Stage
) -> None:
    people.trouble_expected = True
    screen = people.opens(people.comes(stage.url, ignore_https_errors=False))
    screen.says("does not know its certificate")
    link = screen.page.get_by_role("link", name="Open it at the gateway")
    expect(link).to_be_visible()
    there = str(link.get_attribute("href"))
    assert there.startswith(tuple(f"{each.url}/launches/" for each in stage.gateways))
    other = people.arrives(ignore_https_errors=True)  # who has told the browser to trust it
    other.goto(there)
    sign_in(other, stage.login, stage.password)
    Screen(other).comes()


def let_in_once(listener: socket.socket) -> None:
    """The broker's probe finds somebody; nobody after it does."""
    visitor, _ = listener.accept()
    visitor.close()
    listener.close()


def test_when_a_gateway_dies_one_click_leads_to_the_same_session_through_another(people: People, stage: Stage) -> None:
    people.trouble_expected = True
    page = people.comes(stage.url)
    page.add_init_script(WAITS)
    screen = people.opens(page)
    screen.comes()
    stage.terminal()
    screen.types("echo $$ > through-one")
    shell = written(stage.home / "through-one")
    used = stage.in_use
    used.end(signal.SIGKILL)
    try:
        screen.is_("waiting")
        screen.button("Connect now").click()
        screen.comes()
        screen.types("echo $$ > through-another")
        assert written(stage.home / "through-another") == shell
    finally:
        used.start()


def test_a_gateway_that_was_started_anew_says_to_the_brokers_page_that_it_does_not_know_the_session(
    people: People, stage: Stage
) -> None:
    """The page is of another origin than the gateway: the browser lets it read the answer all the same."""
    people.trouble_expected = True
    page = people.comes(stage.url)
    page.add_init_script(WAITS)
    screen = people.opens(page)
    screen.comes()
    used = stage.in_use

    def asked_a_moment_later(route: Route) -> None:
        used.start()
        route.continue_()

    page.route("**/viewer/v1/why", asked_a_moment_later, times=1)
    used.end(signal.SIGKILL)
    screen.says("The gateway does not know this session: it may have been started anew meanwhile.")
    screen.button("Connect now").click()
    screen.comes()


def test_a_session_goes_on_while_the_broker_is_started_again(people: People, stage: Stage) -> None:
    people.trouble_expected = True
    screen = people.opens(people.comes())
    screen.comes()
    stage.terminal()
    stage.broker.end(signal.SIGINT)
    screen.types("echo > without-broker")
    wait_for((stage.home / "without-broker").exists, SOON, "what was typed without a broker")
    restarted(stage)
    screen.types("echo > with-broker")
    wait_for((stage.home / "with-broker").exists, SOON, "what was typed afterwards")
    screen.is_("connected")


def test_a_release_ends_the_picture_at_once_and_says_so(people: People, stage: Stage) -> None:
    people.trouble_expected = True
    screen = people.opens(people.comes())
    screen.comes()
    stage.run("released", "Desk")
    try:
        screen.says("The desktop was released: by an administrator.", timeout=2_000)
        expect(screen.button("Connect now")).to_be_hidden()
    finally:
        stage.run("lent_again", "Desk")
