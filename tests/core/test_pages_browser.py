"""The toolkit's scripts in a real browser: lists, two-list choice, rows, unsaved changes, one submit, no CSP error."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from authservers.models import AuthenticationServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def tab(browser: Browser, small_house: None, settings: Any, transactional_db: None) -> Iterator[Page]:
    """An editor's tab that fails the test when the console complains or the content security policy was broken."""
    settings.MIDDLEWARE = ["broker.core.middleware.ContentSecurityPolicy", *settings.MIDDLEWARE]
    server = LiveServer("127.0.0.1")  # pytest-django's own one has read the settings already
    headers = {"X-May": "view edit"}
    context = browser.new_context(base_url=server.url, extra_http_headers=headers, reduced_motion="reduce")
    context.set_default_timeout(8_000)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    yield tab
    context.close()
    server.stop()
    assert complaints == []


def servers(*names: str) -> list[AuthenticationServer]:
    return [AuthenticationServer.objects.create(name=name, kind="ad") for name in names]


def test_add_item_moves_at_once_and_what_is_selected_is_saved(tab: Page) -> None:
    ids = [row.pk for row in servers("North", "South", "West")]
    tab.goto("/servers/add/")
    tab.get_by_label("Authentication Server name").fill("East")
    tab.get_by_label("Host").fill("dc1")
    tab.get_by_label("Password").fill("s3cret-9")
    tab.get_by_label("Available servers").select_option(label=["North", "West"])
    tab.get_by_role("button", name="Add item").click()
    expect(tab.get_by_label("Selected servers").locator("option")).to_have_text(["North", "West"])
    tab.get_by_label("Selected servers").select_option(label="North")
    tab.get_by_label("Selected servers").press("Enter")
    expect(tab.get_by_label("Available servers").locator("option")).to_have_text(["South", "North"])
    tab.locator("[data-save]").click()
    expect(tab.get_by_role("status")).to_contain_text("Created")
    assert AuthenticationServer.objects.get(name="East").config["others"] == [ids[2]]


def test_rows_and_kinds_change_the_form_in_place_and_keep_what_was_typed(tab: Page) -> None:
    tab.goto("/servers/add/")
    tab.get_by_label("Password").fill("s3cret-9")
    tab.get_by_role("button", name="Add row").click()
    tab.get_by_role("group", name="Row 1").get_by_label("Value").fill("a")
    tab.get_by_role("button", name="Add row").click()
    row = tab.get_by_role("group", name="Row 2")
    expect(row.get_by_label("And / Or")).to_be_focused()
    row.get_by_label("Value").fill("b")
    tab.get_by_role("button", name="Remove row 1").click()
    expect(tab.get_by_role("group", name="Row 1").get_by_label("Value")).to_have_value("b")
    expect(tab.get_by_label("Password")).to_have_value("s3cret-9")
    tab.get_by_label("Type").select_option("local")
    expect(tab.get_by_label("Password")).to_have_count(0)
    tab.get_by_label("Type").select_option("ad")
    expect(tab.get_by_label("Host")).to_be_visible()
    tab.on("dialog", lambda dialog: dialog.accept())


def test_fields_that_do_not_apply_are_gone(tab: Page) -> None:
    tab.goto("/servers/add/")
    expect(tab.get_by_label("Domain")).to_be_visible()
    tab.get_by_label("Active").uncheck()
    expect(tab.get_by_label("Domain")).to_be_hidden()


def test_leaving_with_changes_asks(tab: Page) -> None:
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    tab.on("dialog", agree)
    tab.goto("/servers/add/")
    tab.get_by_role("link", name="Cancel").click()
    tab.wait_for_url("**/servers/")
    tab.goto("/servers/add/")
    tab.get_by_label("Host").fill("dc1")
    expect(tab.get_by_text("Not saved yet")).to_be_visible()
    tab.get_by_role("link", name="Cancel").click()
    tab.wait_for_url("**/servers/")
    assert asked == ["beforeunload"]


def test_a_form_is_sent_once(tab: Page) -> None:
    sent: list[str] = []
    tab.on("request", lambda request: sent.append(request.method))
    tab.goto("/servers/add/")
    tab.get_by_label("Authentication Server name").fill("East")
    tab.get_by_label("Host").fill("dc1")
    tab.get_by_label("Password").fill("s3cret-9")
    tab.locator("[data-save]").dblclick()
    expect(tab.get_by_role("status")).to_contain_text("Created")
    assert sent.count("POST") == 1


def test_ticked_rows_raise_a_bar_and_a_refresh_leaves_them_ticked(tab: Page) -> None:
    servers("North", "South")
    tab.clock.install()
    tab.goto("/servers/")
    expect(tab.get_by_text("ticked")).to_be_hidden()
    tab.get_by_role("checkbox", name="Tick North").check()
    expect(tab.get_by_text("1 ticked")).to_be_visible()
    AuthenticationServer.objects.filter(name="North").update(position=42)
    with tab.expect_response(lambda answer: "x-part" in answer.request.headers):
        tab.clock.run_for(11_000)
    expect(tab.get_by_role("row", name="North").get_by_role("cell", name="Position")).to_have_text("42")
    expect(tab.get_by_role("checkbox", name="Tick North")).to_be_checked()
    tab.get_by_role("button", name="Check", exact=True).first.click()
    expect(tab.get_by_role("status")).to_contain_text("Check: 1 authentication server.")


def test_menus_work_by_keyboard(tab: Page) -> None:
    servers("North")
    tab.goto("/servers/")
    tab.get_by_label("More actions for North").focus()
    tab.keyboard.press("ArrowDown")
    expect(tab.get_by_role("button", name="Wipe").last).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.get_by_label("More actions for North")).to_be_focused()
    tab.keyboard.press("/")
    expect(tab.get_by_label("Search everything")).to_be_focused()


def test_a_lost_connection_saves_nothing_by_halves(tab: Page) -> None:
    def lose(route: Route) -> None:
        route.abort() if route.request.method == "POST" and "X-Part" in route.request.headers else route.continue_()

    tab.goto("/servers/add/")
    tab.get_by_label("Authentication Server name").fill("typed")
    tab.route("**/servers/add/", lose)
    tab.get_by_role("button", name="Add row").click()
    expect(tab.get_by_label("Authentication Server name")).to_have_value("typed")
    tab.on("dialog", lambda dialog: dialog.accept())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
def test_nothing_is_inaccessible_and_nothing_sticks_out(tab: Page, theme: Any, width: int) -> None:
    row = servers("North", "South")[0]
    tab.emulate_media(color_scheme=theme)
    tab.set_viewport_size({"width": width, "height": 900})
    for address in (
        "/servers/",
        "/servers/add/",
        f"/servers/{row.pk}/",
        f"/servers/{row.pk}/delete/",
        "/servers/?search=x",
    ):
        tab.goto(address)
        found = Axe().run(tab, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
