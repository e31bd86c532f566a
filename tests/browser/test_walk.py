"""The main job, as the seed tells it in chapters 5 to 7 (SPEC 13.8, steps 1 to 14), by what stands on the pages."""

import re
from pathlib import Path

import boto3
import pytest
from playwright.sync_api import Download, Page, expect

from broker.demo.aws import constants
from tests.browser import hand
from tests.browser.demo import Demo
from tests.browser.visitors import Visitors

pytestmark = pytest.mark.browser

SERVER, CENTER, GATEWAY, POOL, POLICY = "Lab directory", "Lab WorkSpaces", "Lab gateway", "Lab desktops", "Lab policy"
POWER, RELEASE = "Shutdown on logout", "Persistent WorkSpaces Assignment"
BUNDLE = "Usher Core Windows 11 Standard (BYOP)"
LOGIN, PERSON, DOMAIN = "ben", "Ben Brandt", "lab.example.test"


def test_from_an_empty_directory_to_a_stopped_workspace_that_is_still_assigned(visitors: Visitors) -> None:
    demo = visitors.demo
    admin = visitors.signs_in("admin")
    step_1_authentication_server(admin, demo)
    step_2_center(admin)
    step_3_gateway(admin)
    step_4_load_users(admin)
    desktop = step_5_deploy(admin)
    step_6_pool(admin)
    step_7_protocol_plan(admin)
    step_8_power_control_plan(admin)
    step_9_release_plan(admin)
    step_10_policy(admin)
    step_11_assignment_rule(admin)
    step_12_test_login(admin, desktop)
    user = visitors.signs_in(LOGIN, DOMAIN, **visitors.through_the_gateway)
    step_13_reconnect(admin, user, desktop)
    visitors.refusals_expected = True  # by who signs out while a poll is under way
    step_14_log_out(admin, user, desktop, demo)
    step_14_next_sign_in_starts_it(visitors, desktop)


def step_1_authentication_server(admin: Page, demo: Demo) -> None:
    lab = demo.card["directories"]["LAB"]
    hand.choose(admin, "Authentication Servers")
    admin.get_by_role("link", name="Add Authentication Server").click()
    admin.get_by_label("Authentication Server name").fill(SERVER)
    admin.get_by_label("Domain", exact=True).fill(lab["domain"])
    where = hand.group(admin, "Connection Settings")
    where.get_by_label("Type").select_option("Active Directory")
    where.get_by_label("Specify address using").select_option("Hostname or IP address")
    where.get_by_label("Hostname or IP address", exact=True).fill(lab["host"])
    expect(where.get_by_label("Port")).to_have_value("389")
    where.get_by_label("Encrypt connection to authentication server using SSL (LDAPS)").check()
    expect(where.get_by_label("Port")).to_have_value("636")
    where.get_by_label("Port").fill(str(lab["ldaps_port"]))
    where.get_by_label("CA certificate").fill(Path(lab["ca"]).read_text())
    where.get_by_label("AWS Directory ID").fill(constants.LAB_DIRECTORY)
    search = hand.group(admin, "Search Settings")
    search.get_by_label("User name").fill(lab["search_user"])
    search.get_by_label("Password").fill(lab["search_password"])
    expect(admin.get_by_label("Match Login name against this field")).to_have_value("sAMAccountName")
    hand.save(admin, SERVER)


def step_2_center(admin: Page) -> None:
    hand.choose(admin, "Centers")
    admin.get_by_role("link", name="Add Center").click()
    admin.get_by_label("Type").select_option("Amazon WorkSpaces")
    admin.get_by_label("Name", exact=True).fill(CENTER)
    admin.get_by_label("Authentication Server").select_option(SERVER)
    admin.get_by_label("Region").select_option(constants.REGION)
    admin.get_by_label("Authentication", exact=True).select_option("Enter IAM Access Key")
    admin.get_by_label("Access Key ID").fill(constants.ACCESS_KEY)
    admin.get_by_label("Secret Access Key").fill(constants.SECRET_KEY)
    hand.save(admin, CENTER)
    hand.choose(admin, "Images")
    hand.comes(hand.row(admin, BUNDLE).nth(1))  # the other center has an image of this name, too
    hand.choose(admin, "Centers")
    hand.comes(hand.row(admin, CENTER).filter(has_text="Online"))


def step_3_gateway(admin: Page) -> None:
    hand.choose(admin, "Gateways")
    admin.get_by_role("link", name="Add Gateway").click()
    admin.get_by_label("Name", exact=True).fill(GATEWAY)
    admin.get_by_label("Public IP address or FQDN for use in Protocol Plans").fill("gateway.lab.example.test")
    private = "IP address or FQDN used for Connection Broker communications to this Gateway"
    admin.get_by_label(private).fill("127.0.0.1:9")
    hand.save(admin, GATEWAY)
    hand.choose(admin, "Gateways")
    hand.comes(hand.row(admin, GATEWAY).filter(has_text="Offline"))


def step_4_load_users(admin: Page) -> None:
    hand.choose(admin, "Authentication Servers")
    hand.row(admin, SERVER).get_by_text("Load users").click()
    expect(admin.get_by_role("heading", level=1)).to_have_text(f"Load Users from {SERVER}")
    admin.get_by_label("Select from all the users").check()
    admin.get_by_role("button", name="Next >").click()
    hand.add_items(admin, "users", re.compile(PERSON))
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.get_by_role("heading", level=1)).to_have_text("Users")
    expect(hand.row(admin, PERSON)).to_contain_text(SERVER)


def step_5_deploy(admin: Page) -> str:
    """What the new desktop is called."""
    hand.choose(admin, "Centers")
    hand.row(admin, CENTER).get_by_text("Deploy").click()
    option = admin.get_by_label("Images").get_by_role("option").filter(has_text=BUNDLE)
    admin.get_by_label("Images").select_option(option.get_attribute("value"))
    option = admin.get_by_label("User", exact=True).get_by_role("option").filter(has_text=PERSON)
    admin.get_by_label("User", exact=True).select_option(option.get_attribute("value"))
    admin.get_by_label("Running mode").select_option("MANUAL")
    admin.get_by_label("Allow this desktop to be permanently deleted from disk").check()
    admin.get_by_role("button", name="Deploy", exact=True).click()
    hand.choose(admin, "Centers")
    hand.row(admin, CENTER).get_by_role("button", name="Scan", exact=True).click()
    expect(admin.get_by_role("status").first).to_contain_text(CENTER)
    hand.choose(admin, "Desktops")
    desktop = hand.row(admin, PERSON)
    expect(hand.cell(desktop, "Assigned Users")).to_contain_text(PERSON)
    expect(hand.cell(desktop, "Assigned Users")).to_contain_text("policy")
    return hand.cell(desktop, "Display name").inner_text().strip().splitlines()[0]


def step_6_pool(admin: Page) -> None:
    hand.choose(admin, "Pools")
    admin.get_by_role("link", name="Create Pool").click()
    admin.get_by_label("Name", exact=True).fill(POOL)
    admin.get_by_label("Define pool using").select_option("Centers")
    hand.add_items(admin, "centers", CENTER)
    hand.save(admin, POOL)


def step_7_protocol_plan(admin: Page) -> None:
    hand.choose(admin, "Protocol Plans")
    hand.row(admin, "Default").get_by_role("link", name="Edit").click()
    client = hand.group(admin, "Web client")
    client.get_by_label("HTML5 RDP: Priority").select_option("1")
    client.get_by_label("HTML5 RDP: Gateway").select_option(label="Corp gateway")
    expect(client.get_by_label("HTML5 RDP: Sign the user in")).to_be_checked()
    client.get_by_label("RDP: Priority", exact=True).select_option("2")
    file = client.get_by_label("RDP: Configuration file")
    file.fill(f"{file.input_value().rstrip()}\nprompt for credentials:i:1\n")
    hand.save(admin, "Default")


def step_8_power_control_plan(admin: Page) -> None:
    hand.choose(admin, "Power Control Plans")
    admin.get_by_role("link", name="Create Power Control Plan").click()
    admin.get_by_label("Plan name").fill(POWER)
    section = hand.group(admin, "When User Logs Out of Desktop")
    section.get_by_label("then").select_option("Shutdown")
    section.get_by_label("Wait").select_option("Immediately")
    hand.save(admin, POWER)


def step_9_release_plan(admin: Page) -> None:
    hand.choose(admin, "Release Plans")
    admin.get_by_role("link", name="Create Release Plan").click()
    admin.get_by_label("Plan name").fill(RELEASE)
    hand.group(admin, "When User Logs Out from Desktop").get_by_label("Release to pool").select_option("No")
    hand.save(admin, RELEASE)


def step_10_policy(admin: Page) -> None:
    hand.choose(admin, "Policies")
    admin.get_by_role("link", name="Create Policy").click()
    admin.get_by_label("Policy name").fill(POLICY)
    hand.save(admin, POLICY)
    admin.get_by_role("navigation", name="Policy").get_by_role("link", name="Pool Assignments").click()
    admin.get_by_role("link", name="Add Pool Assignments").click()
    offer = hand.group(admin, "When User Logs into Connection Broker")
    offer.get_by_label("Number of desktops to offer").select_option("1")
    offer.get_by_label("Pool", exact=True).select_option(label=POOL)
    offer.get_by_label("Display desktop to user as").select_option("Desktop display name")
    offer.get_by_label("Offer stopped and suspended desktops").select_option("Yes, only if Usher Agent is installed")
    plans = hand.group(admin, "Plans")
    plans.get_by_label("Protocol Plan").select_option("Default")
    plans.get_by_label("Power Control Plan").select_option(POWER)
    plans.get_by_label("Release Plan").select_option(RELEASE)
    hand.save(admin, POLICY)
    expect(hand.row(admin, POOL)).to_contain_text(RELEASE)


def step_11_assignment_rule(admin: Page) -> None:
    hand.choose(admin, "Assignments")
    hand.row(admin, SERVER).get_by_role("link", name="Edit").click()
    admin.get_by_role("button", name="Add rule").click()
    rule = admin.get_by_role("row", name="Rule 1")
    rule.get_by_label("Group").select_option("[any group]")
    rule.get_by_label("Client Location").select_option("Office network")
    rule.get_by_label("User Role").select_option("User")
    rule.get_by_label("User Policy").select_option(POLICY)
    hand.save(admin, SERVER)


def step_12_test_login(admin: Page, desktop: str) -> None:
    hand.choose(admin, "Desktops")
    hand.comes(hand.row(admin, desktop).filter(has_text="Running").filter(has_text="Reachable"))
    hand.choose(admin, "Users")
    admin.get_by_role("link", name="Test Login").click()
    admin.get_by_label("User Name").fill(LOGIN)
    admin.get_by_label("Domain").select_option(SERVER)
    admin.get_by_label("client's IP address").fill("10.20.30.40")
    admin.get_by_role("button", name="Run Test").click()
    report = admin.get_by_role("region", name="Report", exact=True)
    given = hand.facts(report.get_by_role("region", name="Role and policy"))
    assert (given["Role"], given["Policy"]) == ("User", POLICY)
    expect(report.get_by_role("region", name="Assigned already")).to_contain_text(desktop)
    on_connect = report.get_by_role("region", name="On Connect")
    expect(on_connect).to_contain_text("Reconnect")
    expect(on_connect).to_contain_text(POWER)
    expect(on_connect).to_contain_text(RELEASE)


def step_13_reconnect(admin: Page, user: Page, desktop: str) -> None:
    expect(user.get_by_role("heading", level=1)).to_have_text("Your desktops")
    user.get_by_role("button", name="Reconnect").click()
    hand.in_the_browser(user)
    sessions = admin.context.new_page()
    sessions.goto("/resources/sessions/gateways/")
    hand.comes(hand.row(sessions, PERSON).filter(has_text="HTML5 RDP").filter(has_text="Corp gateway"))
    sessions.close()
    user.goto("/desktops/")
    with user.expect_download() as coming:
        hand.by_file(user)
    lines = rdp_lines(coming.value)
    assert re.fullmatch(r"full address:s:127\.\d+\.\d+\.\d+(:\d+)?", next(each for each in lines if "full add" in each))
    assert f"username:s:LAB\\{LOGIN}" in lines
    assert "prompt for credentials:i:1" in lines
    assert not [each for each in lines if "password" in each.lower()]
    hand.choose(admin, "Log")
    hand.comes(hand.row(admin, desktop).filter(has_text=PERSON))


def rdp_lines(file: Download) -> list[str]:
    """The file's lines; it is what Windows expects: UTF-8 with CRLF, named after the desktop."""
    assert re.fullmatch(r"usher-[\w.-]+-\d{4}\.rdp", file.suggested_filename), file.suggested_filename
    text = file.path().read_bytes().decode("utf-8")
    assert text.count("\r\n") == text.count("\n") > 3
    return text.splitlines()


def step_14_log_out(admin: Page, user: Page, desktop: str, demo: Demo) -> None:
    hand.choose(admin, "Desktops")
    line = hand.row(admin, desktop)
    demo.manage("demo_desktop", desktop, "login")
    hand.comes(hand.cell(line, "Session").filter(has_text="Connected"))
    demo.manage("demo_desktop", desktop, "logout")
    hand.comes(hand.cell(line, "Power").filter(has_text="Stopped"))
    expect(hand.cell(line, "Assigned Users")).to_contain_text(PERSON)
    assert aws_states(demo) == ["STOPPED"]
    user.goto("/desktops/")
    expect(user.get_by_text("Stopped. It starts when you connect.")).to_be_visible()
    user.get_by_label("Account").click()
    user.get_by_role("button", name="Sign Out").click()
    expect(user.get_by_role("button", name="Sign In")).to_be_visible()


def aws_states(demo: Demo) -> list[str]:
    """What the simulated account says of the WorkSpaces of the second directory."""
    account = boto3.client(
        "workspaces", endpoint_url=demo.card["aws"]["endpoint"], region_name=constants.REGION,
        aws_access_key_id=constants.ACCESS_KEY, aws_secret_access_key=constants.SECRET_KEY,
    )  # fmt: skip
    answer = account.describe_workspaces(DirectoryId=constants.LAB_DIRECTORY)
    return [each["State"] for each in answer["Workspaces"]]


def step_14_next_sign_in_starts_it(visitors: Visitors, desktop: str) -> None:
    user = visitors.signs_in(LOGIN, DOMAIN, **visitors.through_the_gateway)
    user.get_by_role("button", name="Reconnect").click()
    steps = user.get_by_role("listitem")
    for name in ("Assigning", "Starting", "Waiting for agent", "Opening gateway", "Connecting"):
        expect(steps.filter(has_text=name)).to_be_visible()
    hand.in_the_browser(user)
    assert aws_states(visitors.demo) == ["AVAILABLE"]
