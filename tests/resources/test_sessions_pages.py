"""Resources > Sessions: who is on which desktop, what one can do about it, and who is signed in to the broker."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import AgentCommand
from broker.connect.models import DesktopSession, Launch, PortalSession, QueuePlace
from broker.core.clock import now
from broker.core.models import LogEntry, ref
from centers.models import Center, Desktop
from tests import make
from tests.resources.test_desktops_list import agent, session

pytestmark = pytest.mark.django_db
LIST, SIGN_INS = "/resources/sessions/", "/resources/sessions/sign-ins/"


@pytest.fixture
def center() -> Center:
    return make.center()


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def machine(center: Center, heard: bool = True, **fields: Any) -> Desktop:
    """A desktop with an agent."""
    found = make.desktop(center, **fields)
    agent(found, heard=heard)
    return found


def people(client: Client, query: str = "") -> set[str]:
    """Whose sessions a list shows."""
    return {row.record.user_name for row in client.get(f"{LIST}{query}").context["listing"].rows}


def press(client: Client, row: Any, action: str, at: str = LIST) -> str:
    """What one is told."""
    return client.post(f"{at}{row.pk}/{action}/", {"confirmed": "yes"}, follow=True).content.decode()


def statements(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


def test_the_list_shows_what_lives_and_more_when_asked(admin: Client, center: Center) -> None:
    session(machine(center), user_name="here")
    session(machine(center), user_name="away", state="disconnected")
    session(machine(center), user_name="dozing", idle_since=now() - timedelta(minutes=20))
    session(machine(center), user_name="shut", locked=True)
    session(machine(center, heard=False), user_name="unheard")
    session(machine(center), user_name="stranger", rogue=True)
    session(machine(center), user_name="gone", state="ended", ended_at=now(), end_reason="logged out")
    session(machine(center), user_name="")
    live = {"here", "away", "dozing", "shut", "unheard", "stranger"}
    assert people(admin) == live
    assert people(admin, "?state=disconnected") == {"away"}
    assert people(admin, "?state=idle") == {"dozing"}
    assert people(admin, "?state=locked") == {"shut"}
    assert people(admin, "?state=silent") == {"unheard"}
    assert people(admin, "?rogue=yes") == {"stranger"}
    assert people(admin, "?state=ended") == {"gone"}
    assert people(admin, "?state=all") == live | {"gone"}
    assert people(admin, "?search=awa") == {"away"}
    page = admin.get(f"{LIST}?state=all").content.decode()
    for words in ("since 20 minutes ago", "Locked", "rogue", "as last heard: its agent is silent", "logged out"):
        assert words in page, words


def test_a_row_says_where_its_user_came_from(admin: Client, center: Center) -> None:
    nora, place = make.user("nora"), machine(center)
    held = make.assignment(nora, place)
    row = session(place, nora, assignment=held)
    made = {"user": nora, "desktop": place, "assignment": held, "step": "done", "step_at": now(), "deadline": now()}
    Launch.objects.create(**made, protocol="rdp", client_ip="10.9.8.7", started_at=row.changed_at, ended_at=now())
    later = row.changed_at + timedelta(hours=1)
    Launch.objects.create(**made, protocol="rdp", client_ip="10.1.1.1", started_at=later, ended_at=later)
    page = admin.get(f"{LIST}?columns=client&columns=protocol&columns=gateway").content.decode()
    assert "10.9.8.7" in page
    assert ">RDP<" in page.replace("\n", "")
    assert "Direct" in page
    assert "10.1.1.1" not in page


def test_a_hundred_rows_cost_what_one_costs(admin: Client, center: Center) -> None:
    session(machine(center), make.user())
    few = [statements(admin, f"{each}?per_page=100&state=all") for each in (LIST, SIGN_INS)]
    for _ in range(30):
        person = make.user()
        session(machine(center), person)
        make.signed_in(Client(), person)
    assert [statements(admin, f"{each}?per_page=100&state=all") for each in (LIST, SIGN_INS)] == few
    assert max(few) <= 9


@pytest.mark.parametrize("action", ["lock", "disconnect", "logout"])
def test_the_agent_is_asked_to_act_on_this_session_alone(admin: Client, center: Center, action: str) -> None:
    place = machine(center)
    mine, other = session(place, make.user("olaf")), session(place, make.user("pia"))
    press(admin, mine, action)
    told = AgentCommand.objects.get()
    assert (told.type, told.data) == (action, {"session": mine.os_session})
    assert told.reason.startswith("Admin")
    assert LogEntry.objects.get(event=f"session.{action}_requested").desktop_ref == ref(place)
    assert other.os_session not in str(told.data)


def test_before_people_are_cut_off_one_is_asked(admin: Client, center: Center) -> None:
    row = session(machine(center), make.user("quentin"))
    page = admin.post(f"{LIST}{row.pk}/logout/").content.decode()
    assert "1 session: Quentin" in page
    assert not AgentCommand.objects.exists()


def test_a_silent_agent_is_not_asked_and_its_session_can_be_cleared(admin: Client, center: Center) -> None:
    stuck = session(machine(center, heard=False), make.user("rosa"))
    assert "does not answer" in press(admin, stuck, "logout")
    assert not AgentCommand.objects.exists()
    assert "is cleared" in press(admin, stuck, "clear")
    stuck.refresh_from_db()
    assert stuck.state == "ended"
    assert stuck.end_reason.startswith("cleared by Admin")


def test_a_session_whose_agent_answers_is_not_stuck(admin: Client, center: Center) -> None:
    row = session(machine(center), make.user())
    press(admin, row, "clear")
    row.refresh_from_db()
    assert row.ended_at is None


def test_a_message_is_typed_once_and_shown_to_all_who_can_be_reached(admin: Client, center: Center) -> None:
    one, two = session(machine(center), user_name="one"), session(machine(center), user_name="two")
    deaf = session(machine(center, heard=False), user_name="deaf")
    address = admin.post(f"{LIST}actions/message/", {"ids": [one.pk, two.pk, deaf.pk]})["Location"]
    assert "text" in admin.post(address, {"text": ""}).context["form"].errors
    page = admin.post(address, {"text": "Back at <noon>"}, follow=True).content.decode()
    assert "shown in 2 sessions" in page
    assert "The session of deaf" in page
    assert {told.data["text"] for told in AgentCommand.objects.filter(type="message")} == {"Back at <noon>"}
    assert LogEntry.objects.filter(event="session.message_requested").count() == 2


def test_what_agents_say_is_escaped(admin: Client, center: Center) -> None:
    session(machine(center), user_name="<script>alert(1)</script>", boot_id="<b>")
    page = admin.get(f"{LIST}?columns=boot_id").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>:" not in page


def test_the_file_has_the_bare_words(admin: Client, center: Center) -> None:
    session(machine(center), make.user("tom"), rogue=True)
    body = admin.get(f"{LIST}?format=csv").content.decode()
    assert "tom (rogue)" in body
    assert "Connected" in body
    assert "<" not in body


def test_sign_ins_are_listed_and_ended(admin: Client) -> None:
    browser = make.signed_in(Client(), make.user("ulf"))
    row = PortalSession.objects.get(user__login="ulf")
    assert "Ulf" in admin.get(SIGN_INS).content.decode()
    assert "is signed out" in press(admin, row, "sign_out", SIGN_INS)
    row.refresh_from_db()
    assert row.close_reason.startswith("signed out by Admin")
    assert browser.get("/desktops/").status_code == 302
    assert "Ulf" in admin.get(f"{SIGN_INS}?state=ended").content.decode()
    assert row not in [each.record for each in admin.get(SIGN_INS).context["listing"].rows]


def test_permissions(client: Client, center: Center) -> None:
    row = session(machine(center), make.user())
    viewer = make.client_with(client, sessions="view")
    assert viewer.get(LIST).status_code == viewer.get(SIGN_INS).status_code == 200
    assert "Log out" not in viewer.get(LIST).content.decode().replace("Log out</button></form>", "")
    for action in ("lock", "logout", "clear", "message"):
        assert viewer.post(f"{LIST}{row.pk}/{action}/").status_code == 403
    assert viewer.get(f"{LIST}message/?ids={row.pk}").status_code == 403
    assert make.client_with(Client(), desktops="edit").get(LIST).status_code == 403
    assert DesktopSession.objects.get(pk=row.pk).ended_at is None


def test_who_waits_for_a_desktop_is_listed(admin: Client, center: Center) -> None:
    pool = make.pool(center, name="Full house")
    line = make.policy(pool).lines.get()
    for name in ("yara", "zoe"):
        made = {"user": make.user(name), "line": line, "since": now(), "seen_at": now(), "usual": 120}
        QueuePlace.objects.create(**made, **({"ended_at": now(), "end_reason": "served"} if name == "zoe" else {}))
    page = admin.get(f"{LIST}queue/").content.decode()
    for words in ("Yara", "Full house", "2 minutes"):
        assert words in page, words
    assert "Zoe" not in page
    assert "served" in admin.get(f"{LIST}queue/?state=ended").content.decode()
