"""The web client as people meet it: signing in and not, one click or two, being signed out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import hand
from tests.browser.demo import Demo
from tests.browser.fitness import troubles
from tests.browser.visitors import Visitors, sign_in

pytestmark = pytest.mark.browser
GRANTED = hand.WORLD * 1000  # ms; a shared desktop's agent, new to the broker, first confirms the right to log on
TOLD = hand.WORLD * 1000  # ms; from a desktop to its agent, the broker, and the poll of a page

TOKENS = """() => performance.getEntriesByType("resource").filter(({name}) => name.endsWith("/token/")).length"""


def test_an_impatient_double_click_gets_one_desktop_which_is_there_in_the_browser(
    visitors: Visitors, admin: Page
) -> None:
    user = visitors.signs_in("alice", **visitors.through_the_gateway)
    user.get_by_role("button", name="Connect", exact=True).dblclick()
    hand.in_the_browser(user, GRANTED)
    for _ in range(5):  # this desktop draws in one breath with the end of RDP's handshake, which a browser may miss
        user.goto("/desktops/")
        expect(user.get_by_role("button", name="Connect", exact=True)).to_have_count(0)
        user.get_by_role("button", name="Reconnect").click()
        hand.in_the_browser(user)
        assert user.evaluate(TOKENS) == 1
    user.goto("/desktops/")
    admin.goto("/resources/desktops/")
    assigned = admin.get_by_role("cell", name="Assigned Users").filter(has_text="Alice Andersson")
    expect(assigned).to_have_count(1)
    release(user)


def test_a_shared_desktop_lets_one_in_and_the_other_waits_until_it_is_free(visitors: Visitors) -> None:
    alice, farid = visitors.signs_in("alice"), visitors.signs_in("farid")
    with alice.expect_download(timeout=GRANTED):
        hand.by_file(alice)
    expect(alice.get_by_role("heading", name="Your desktop is ready")).to_be_visible()
    expect(alice.get_by_text("This desktop is shared")).to_be_visible()
    assert not list(troubles(alice))
    farid.reload()
    waits = farid.get_by_role("article", name="Shared desktop")
    expect(waits).to_contain_text("All its desktops are in use. Nobody waits yet.")
    assert not list(troubles(farid))
    waits.get_by_role("button", name="Wait for a desktop").click()
    expect(farid.get_by_role("heading", name="You are 1st in the queue")).to_be_visible()
    expect(farid.locator("#said")).to_have_text(re.compile("You are 1st in the queue"))
    assert not list(troubles(farid))
    alice.goto("/desktops/")
    release(alice)
    farid.wait_for_url("**/launches/*/viewer/", timeout=GRANTED)
    farid.goto("/desktops/")
    release(farid)


@pytest.fixture
def starting_takes_a_minute(demo: Demo) -> Iterator[None]:
    """Longer than all that somebody wants to look at meanwhile."""
    before = demo.aws.timings()
    demo.aws.timings(starting=60)
    yield
    demo.aws.timings(**before)


def test_the_steps_can_be_followed_and_cancelled_and_tell_a_screen_reader(
    visitors: Visitors, starting_takes_a_minute: None
) -> None:
    carol = visitors.signs_in("carol")
    carol.get_by_role("button", name="Reconnect").click()
    steps = carol.get_by_role("listitem").filter(has=carol.locator("[data-at]"))
    expect(steps.first).to_contain_text("Starting")
    expect(carol.get_by_role("status")).to_have_text(re.compile("Step 2 of 5: Starting"))
    expect(carol.get_by_text("It has until")).to_be_visible()
    assert not list(troubles(carol))
    carol.get_by_role("button", name="Cancel").focus()
    carol.wait_for_timeout(2500)  # two polls: they must not take the focus away
    expect(carol.get_by_role("button", name="Cancel")).to_be_focused()
    carol.keyboard.press("Enter")
    expect(carol.get_by_role("heading", level=1)).to_have_text("Your desktops")
    expect(carol.get_by_role("button", name="Reconnect")).to_have_count(1)


def test_who_is_connected_elsewhere_is_asked_before_taking_over_and_before_signing_out(visitors: Visitors) -> None:
    visitors.refusals_expected = True  # by who signs out while a poll is under way
    visitors.demo.manage("demo_desktop", "bob", "login")
    bob = visitors.signs_in("bob")
    expect(bob.get_by_text("You are connected")).to_be_visible(timeout=TOLD)
    hand.by_file(bob)
    expect(bob.get_by_role("heading", name=re.compile("You are connected from"))).to_be_visible()
    assert not list(troubles(bob))
    with bob.expect_download():
        bob.get_by_role("button", name="Take over").click()
    bob.goto("/desktops/")
    bob.get_by_label("Account").click()
    bob.get_by_role("button", name="Sign Out").click()
    expect(bob.get_by_role("heading", name="You are still connected to 1 desktop")).to_be_visible()
    assert not list(troubles(bob))
    bob.get_by_label("Log out:").check()
    bob.get_by_role("button", name="Sign Out").locator("visible=true").click()
    expect(bob.get_by_role("heading", level=1)).to_have_text("Sign in")
    again = visitors.signs_in("bob")
    expect(again.get_by_text("You are connected")).to_have_count(0, timeout=TOLD)


def release(user: Page) -> None:
    """Give the desktop back, as the user."""
    user.get_by_label("More for").click()
    user.get_by_role("button", name="Release").click()
    expect(user.get_by_role("heading", name="Release this desktop?")).to_be_visible()
    assert not list(troubles(user))
    user.get_by_role("button", name="Release").click()
    expect(user.get_by_role("status").first).to_contain_text("released")
    expect(user.get_by_role("button", name="Connect", exact=True)).to_have_count(1)


def test_reconnect_gives_a_new_file_each_time(visitors: Visitors) -> None:
    user = visitors.signs_in("bob")
    for _ in range(2):
        with user.expect_download() as coming:
            hand.by_file(user)
        text = coming.value.path().read_text(encoding="utf-8")
        assert "username:s:CORP\\bob" in text
        assert "password" not in text.lower()


def test_sign_in_and_connect_need_no_scripts(visitors: Visitors) -> None:
    user = visitors.signs_in("bob", java_script_enabled=False)
    with user.expect_download() as coming:
        hand.by_file(user)
    assert coming.value.suggested_filename.endswith(".rdp")


def test_signing_out_leaves_nothing_behind(visitors: Visitors) -> None:
    visitors.refusals_expected = True
    user = visitors.signs_in("bob")
    user.get_by_label("Account").click()
    user.get_by_role("button", name="Sign Out").click()
    expect(user.get_by_role("heading", level=1)).to_have_text("Sign in")
    user.go_back()
    expect(user.get_by_role("heading", level=1)).to_have_text("Sign in")
    user.goto("/desktops/")
    expect(user.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_who_is_signed_out_by_an_administrator_is_told(visitors: Visitors, admin: Page) -> None:
    visitors.refusals_expected = True
    user = visitors.signs_in("bob")
    admin.goto("/resources/users/")
    admin.get_by_label("More actions for Bob Baker").click()
    admin.get_by_role("button", name="Sign out", exact=True).locator("visible=true").click()
    expect(admin.get_by_role("status").first).to_contain_text("signed out")
    expect(user.get_by_text("Your sign-in has ended.")).to_be_visible()


def test_a_wrong_password_and_an_unknown_name_read_the_same(visitors: Visitors) -> None:
    user = visitors.arrives()
    user.goto("/")
    said = []
    for name in ("hiro", "nobody-of-this-name"):
        sign_in(user, name, "wrong-1")
        expect(user.get_by_label("User name")).to_have_value(name)
        said.append(user.get_by_role("alert").inner_text())
        expect(user.get_by_label("Password")).to_have_value("")
    assert said == ["User name or password is wrong."] * 2


def test_the_sixth_wrong_password_has_to_wait_and_is_told_how_long(visitors: Visitors) -> None:
    user = visitors.arrives()
    user.goto("/")
    for number in range(6):
        with user.expect_response(lambda answer: answer.request.method == "POST") as coming:
            sign_in(user, "farid", f"wrong-{number}")
        assert coming.value.status == (200 if number < 5 else 429)
    expect(user.get_by_role("alert")).to_contain_text(re.compile(r"\b1[45] minutes\b"))


def test_people_who_may_not_sign_in_learn_why_after_their_right_password(visitors: Visitors) -> None:
    user = visitors.arrives()
    user.goto("/")
    sign_in(user, "xavier", visitors.demo.password("xavier"))
    expect(user.get_by_role("alert")).to_contain_text("disabled")


def test_who_must_change_the_password_does_so_by_keyboard_and_is_in(visitors: Visitors) -> None:
    user = visitors.arrives()
    user.goto("/")
    sign_in(user, "zoe", visitors.demo.password("zoe"))
    expect(user.get_by_role("heading", level=1)).to_have_text("Choose a new password")
    assert not list(troubles(user))
    change(user, visitors.demo.password("zoe"), "short")
    expect(user.get_by_role("alert")).to_be_focused()
    expect(user.get_by_label("New password", exact=True)).to_have_accessible_description(re.compile("too short"))
    assert not list(troubles(user))
    change(user, visitors.demo.password("zoe"), "a-Brand-new1")
    expect(user.get_by_role("heading", level=1)).to_have_text("Your desktops")


def change(user: Page, current: str, new: str) -> None:
    """Fill in *Choose a new password* and send it, by keyboard alone."""
    user.get_by_label("Current password").focus()
    for typed in (current, new):
        user.keyboard.type(typed)
        user.keyboard.press("Tab")
    user.keyboard.type(new)
    user.keyboard.press("Enter")


def test_a_user_has_no_way_into_the_administration(visitors: Visitors) -> None:
    user = visitors.signs_in("bob")
    answer = user.goto("/setup/centers/")
    assert answer is not None and answer.status in (403, 404)
    expect(user.get_by_role("navigation", name="Main")).to_have_count(0)


def test_the_desktops_page_shows_a_change_without_being_reloaded(visitors: Visitors, admin: Page) -> None:
    user = visitors.signs_in("bob")
    visitors.demo.manage("demo_desktop", "bob", "login")
    expect(user.get_by_text("You are connected")).to_be_visible(timeout=TOLD)
    assert not list(troubles(user))
    admin.goto("/resources/desktops/")
    mine = hand.row(admin, "Bob Baker")
    expect(hand.cell(mine, "Session")).to_contain_text("Connected")
    visitors.demo.manage("demo_desktop", "bob", "disconnect")
    expect(hand.cell(mine, "Session")).to_contain_text("Disconnected", timeout=TOLD)
    visitors.demo.manage("demo_desktop", "bob", "reconnect")
    expect(hand.cell(mine, "Session")).to_contain_text("Connected", timeout=TOLD)
    visitors.demo.manage("demo_desktop", "bob", "disconnect")  # whoever comes next is not asked to take over
    expect(hand.cell(mine, "Session")).to_contain_text("Disconnected", timeout=TOLD)


def test_the_desktop_takes_the_time_zone_of_the_users_device(visitors: Visitors, admin: Page) -> None:
    ticked = "from policies.models import PoolAssignment; PoolAssignment.objects.update(adjust_zone=True)"
    visitors.demo.manage("shell", "-c", ticked)
    user = visitors.signs_in("bob", timezone_id="Asia/Kolkata")
    with user.expect_download():
        hand.by_file(user)
    admin.goto("/demo/")
    expect(admin.get_by_text(re.compile("Its time zone: Asia/(Kolkata|Calcutta)"))).to_be_visible(timeout=TOLD)
