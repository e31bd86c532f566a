"""Every page of the menu and those behind it: accessible, narrow enough for a telephone, usable by keyboard, bare."""

import re
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from broker.navigation import MENU
from tests.browser import hand
from tests.browser.fitness import troubles
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.browser

LABELS = [entry.label for entries in MENU.values() for entry in entries]


@pytest.mark.parametrize("label", LABELS)
def test_an_entry_of_the_menu_and_the_pages_behind_it_are_fit_to_use(admin: Page, label: str) -> None:
    admin.goto("/dashboard/")
    hand.choose(admin, label)
    assert not list(troubles(admin))
    for address in hand.behind(admin):
        admin.goto(address)
        expect(admin.get_by_role("heading", level=1)).to_be_visible()
        assert not list(troubles(admin))


@pytest.mark.parametrize("address", hand.UNLISTED)
def test_a_page_that_the_menu_does_not_list_is_fit_to_use(admin: Page, address: str) -> None:
    admin.goto(address)
    expect(admin.get_by_role("heading", level=1)).to_be_visible()
    assert not list(troubles(admin))


def test_the_pages_of_users_are_fit_to_use(visitors: Visitors) -> None:
    user = visitors.arrives()
    user.goto("/")
    assert not list(troubles(user))
    user = visitors.signs_in("bob")
    assert not list(troubles(user))


def test_the_keyboard_reaches_search_and_content(admin: Page) -> None:
    admin.goto("/configuration/pools/")
    admin.keyboard.press("/")
    expect(admin.get_by_label("Search everything")).to_be_focused()
    admin.keyboard.type("bob")
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("link", name="Bob Baker").first).to_be_visible()
    admin.goto("/configuration/pools/")
    admin.keyboard.press("Tab")
    expect(admin.get_by_role("link", name="Skip to content")).to_be_focused()
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("main")).to_be_focused()


def test_a_pool_is_made_and_deleted_by_keyboard_alone(admin: Page) -> None:
    admin.goto("/configuration/pools/add/")
    admin.get_by_label("Name", exact=True).focus()
    admin.keyboard.type("By keyboard")
    admin.get_by_label("Available centers").focus()
    admin.keyboard.press("ArrowDown")
    admin.keyboard.press("Enter")
    expect(admin.get_by_label("Selected centers").get_by_role("option")).to_have_count(1)
    admin.get_by_label("Name", exact=True).press("Enter")
    expect(admin.get_by_role("status").first).to_contain_text("By keyboard")
    admin.goto("/configuration/pools/")
    hand.row(admin, "By keyboard").get_by_label("More actions for By keyboard").focus()
    delete = hand.row(admin, "By keyboard").get_by_role("link", name="Delete")
    admin.keyboard.press("ArrowDown")
    admin.keyboard.press("ArrowDown")
    expect(delete).to_be_focused()
    admin.keyboard.press("Enter")
    expect(admin.get_by_role("heading", level=1)).to_contain_text("Delete")
    admin.get_by_role("button", name="Delete").press("Enter")
    expect(admin.get_by_role("status").first).to_contain_text("By keyboard")
    expect(hand.row(admin, "By keyboard")).to_have_count(0)


def test_without_scripts_add_item_keeps_the_unsaved_form(visitors: Visitors, seat: Any) -> None:
    bare = visitors.arrives(storage_state=seat, java_script_enabled=False)
    bare.goto("/configuration/pools/add/")
    bare.get_by_label("Name", exact=True).fill("Without scripts")
    bare.get_by_label("Available centers").select_option("WorkSpaces us-east-1")
    hand.group(bare, "Centers").get_by_role("button", name="Add item").click()
    expect(bare.get_by_label("Name", exact=True)).to_have_value("Without scripts")
    expect(bare.get_by_label("Selected centers").get_by_role("option")).to_have_text(["WorkSpaces us-east-1"])
    hand.save(bare, "Without scripts")
    bare.goto("/configuration/pools/")
    hand.row(bare, "Without scripts").get_by_role("link", name="Edit").click()
    expect(bare.get_by_label("Selected centers").get_by_role("option")).to_have_text(["WorkSpaces us-east-1"])
    bare.get_by_role("link", name="Delete").click()
    bare.get_by_role("button", name="Delete").click()
    expect(hand.row(bare, "Without scripts")).to_have_count(0)


def test_leaving_with_changes_asks(admin: Page) -> None:
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    admin.on("dialog", agree)
    admin.goto("/configuration/power-control-plans/add/")
    admin.get_by_label("Plan name").fill("Begun")
    expect(admin.get_by_text("Not saved yet")).to_be_visible()
    hand.choose(admin, "Power Control Plans")
    assert asked == ["beforeunload"]
    expect(hand.row(admin, "Begun")).to_have_count(0)


def test_the_theme_is_remembered(admin: Page) -> None:
    dark = re.compile(r"\bis-dark\b")
    admin.goto("/configuration/roles/")
    expect(admin.locator("html")).not_to_have_class(dark)
    admin.get_by_role("button", name="Switch between light and dark").click()
    expect(admin.locator("html")).to_have_class(dark)
    hand.choose(admin, "Locations")
    expect(admin.locator("html")).to_have_class(dark)


def test_a_form_that_was_filled_in_wrongly_says_where(admin: Page) -> None:
    admin.goto("/setup/centers/add/")
    admin.get_by_label("Name", exact=True).fill("Nowhere")
    admin.get_by_role("button", name="Save", exact=True).click()
    summary = admin.get_by_role("alert")
    expect(summary.first).to_be_visible()
    summary.get_by_role("link").first.click()
    expect(admin.get_by_label("Authentication Server")).to_be_focused()
    expect(admin.get_by_label("Name", exact=True)).to_have_value("Nowhere")
    assert not list(troubles(admin))
    admin.on("dialog", lambda dialog: dialog.accept())


@pytest.mark.parametrize("label", ["Desktops", "Users"])
def test_a_timeline_is_fit_to_use_and_narrows_by_its_chips(admin: Page, label: str) -> None:
    admin.goto("/dashboard/")
    hand.choose(admin, label)
    hand.row(admin, "bob").first.get_by_role("link").first.click()
    admin.get_by_role("link", name="Timeline").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Timeline")
    assert not list(troubles(admin))
    admin.get_by_role("navigation", name="Who told of it").get_by_role("link", name="Broker").click()
    expect(admin).to_have_url(re.compile(r"origin=broker"))
    assert not list(troubles(admin))


def test_ones_own_sessions_are_fit_to_read(visitors: Visitors) -> None:
    user = visitors.signs_in("bob")
    user.get_by_label("Account").click()
    user.get_by_role("link", name="My sessions").click()
    expect(user.get_by_role("heading", level=1)).to_have_text("Your sessions")
    assert not list(troubles(user))
