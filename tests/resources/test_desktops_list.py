"""Resources > Desktops, the list: five axes, filters, search, one sentence, and a constant number of statements."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Agent
from broker.connect.models import DesktopSession, Pin
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from broker.core.models import ref
from centers.models import Center, Desktop
from plans.engine import Action, Due, Event
from tests import make

pytestmark = pytest.mark.django_db
LIST = "/resources/desktops/"


def agent(of: Desktop, heard: bool = True, **fields: Any) -> Agent:
    """An approved agent of a desktop."""
    number = next(make.numbers)
    seen = now() - timedelta(seconds=5 if heard else 600)
    made = {"uuid": f"00000000-0000-0000-0000-{number:012d}", "key_digest": f"{number:064d}", "approved": True}
    return Agent.objects.create(
        **{**made, "center": of.center, "desktop": of, "registered_at": now(), "last_seen": seen, **fields}
    )


def session(of: Desktop, person: Any = None, **fields: Any) -> DesktopSession:
    """Somebody on a desktop."""
    made = {
        "boot_id": "b1",
        "os_session": str(next(make.numbers)),
        "user": person,
        "user_name": str(person or "stranger"),
    }
    return DesktopSession.objects.create(desktop=of, started_at=now(), changed_at=now(), **{**made, **fields})


def plan_job(of: Desktop) -> Any:
    """A shutdown that a plan has scheduled."""
    at = now() + timedelta(minutes=10)
    due = Due(Action.STOP, at, Event.LOGGED_OUT, now(), "Shutdown on logout")
    return enqueue(
        Wish("power", ref(of), str(of), payload={"due": due.as_json(), "op": "stop"}, run_at=at, plan=due.plan)
    )


def text(client: Client, query: str = "") -> str:
    """The page as text."""
    return client.get(f"{LIST}{query}").content.decode()


def names(client: Client, query: str) -> set[str]:
    """The desktops that a narrowed list shows."""
    answer = client.get(f"{LIST}{query}")
    return {str(row.record) for row in answer.context["listing"].rows}


@pytest.fixture
def center() -> Center:
    return make.center()


@pytest.fixture
def admin(client: Client) -> Client:
    return make.admin_client(client)


def test_the_five_axes_stand_in_five_cells(admin: Client, center: Center) -> None:
    alice = make.user("alice")
    machine = make.desktop(center)
    make.assignment(alice, machine)
    agent(machine)
    session(machine, alice)
    page = text(admin)
    for column in ("Power", "Agent", "Availability", "Assigned Users", "Session"):
        assert f'aria-label="{column}"' in page
    for word in ("Running", "AVAILABLE", "Reachable", "Available", "Alice", "policy", "Connected"):
        assert word in page


def test_a_list_of_100_costs_what_a_list_of_1_costs(admin: Client, center: Center) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            assert admin.get(f"{LIST}?per_page=100").status_code == 200
        return len([each for each in seen if "SAVEPOINT" not in each["sql"]])

    people = [make.user() for _ in range(4)]
    for number in range(100):
        machine = make.desktop(center)
        if number == 0:
            make.assignment(people[0], machine)
            session(machine, people[0])
            agent(machine)
            plan_job(machine)
            few = statements()
        elif number < 40:
            make.assignment(people[number % 4], machine)
            session(machine, people[number % 4])
            plan_job(machine)
    assert statements() == few
    assert few <= 14


def test_filters_narrow_the_list(admin: Client, center: Center) -> None:
    bob = make.user("bob")
    make.desktop(center, display_name="Stopped", power="stopped", raw_state="STOPPED")
    lent = make.desktop(make.center(), display_name="Lent")
    hard = make.desktop(center, display_name="Hard")
    make.assignment(bob, lent)
    make.assignment(bob, hard, kind="hard")
    agent(lent)
    agent(hard, heard=False)
    session(lent, bob)
    Pin.objects.create(desktop=lent, port=3389, sha256="cd" * 32, since=now())
    Pin.objects.create(desktop=hard, port=3389, sha256="cd" * 32, other="ef" * 32, since=now())
    gone = make.desktop(center, display_name="Gone", availability="deleted")
    assert names(admin, "") == {"Stopped", "Lent", "Hard"}
    assert names(admin, "?power=stopped") == {"Stopped"}
    assert names(admin, f"?center={center.pk}") == {"Stopped", "Hard"}
    assert names(admin, f"?pool={make.pool(center).pk}") == {"Stopped", "Hard"}
    assert names(admin, "?assignment=none") == {"Stopped"}
    assert names(admin, "?assignment=policy") == {"Lent"}
    assert names(admin, "?assignment=hard") == {"Hard"}
    assert names(admin, "?agent=never") == {"Stopped"}
    assert names(admin, "?agent=reachable") == {"Lent"}
    assert names(admin, "?agent=unreachable") == {"Hard"}
    assert names(admin, "?session=active") == {"Lent"}
    assert names(admin, "?power=running&session=none") == {"Hard"}
    assert names(admin, "?certificate=changed") == {"Hard"}
    assert names(admin, "?availability=deleted") == {str(gone)}


def test_search_covers_name_display_name_ref_address_and_user(admin: Client, center: Center) -> None:
    machine = make.desktop(center, name="WSAMZN-X", display_name="Design", ref="ws-abc123456", address="10.9.8.7")
    make.desktop(center)
    make.assignment(make.user("carol", display_name="Carol Weber"), machine)
    for word in ("WSAMZN-X", "design", "ws-abc12", "10.9.8", "carol", "weber"):
        assert names(admin, f"?search={word}") == {"Design"}, word
    make.assignment(make.user("dave"), make.desktop(center, display_name="Other"))
    assert names(admin, "?search=dave") == {"Other"}


def test_each_row_says_why_and_what_next(admin: Client, center: Center) -> None:
    lent = make.desktop(center)
    make.assignment(make.user("erin"), lent)
    plan_job(lent)
    make.desktop(center, availability="unavailable", unavailable_reason="being repaired")
    make.desktop(center, power="error", raw_state="ERROR", error_message="The domain join failed.")
    make.desktop(center, running_mode="AUTO_STOP")
    make.desktop(center, bound_user="frank")
    page = text(admin)
    assert "shut down, unless Erin returns" in page
    assert "marked as unavailable: being repaired" in page
    assert "The domain join failed." in page
    assert "AWS stops AUTO_STOP WorkSpaces by itself" in page
    assert "offered to frank only" in page


def test_an_offered_desktop_whose_user_has_not_come_says_so(admin: Client, center: Center) -> None:
    make.assignment(make.user("grace"), make.desktop(center))
    assert "who has not logged in to it yet" in text(admin)


def test_the_file_has_words_and_no_markup(admin: Client, center: Center) -> None:
    make.assignment(make.user("heidi"), make.desktop(center))
    body = admin.get(f"{LIST}?format=csv").content.decode()
    assert "heidi" in body
    assert "<" not in body


def test_only_those_who_may_see_it(client: Client) -> None:
    assert make.client_with(client, users="edit").get(LIST).status_code == 403
    viewer = make.client_with(Client(), desktops="view")
    machine = make.desktop(make.center())
    assert viewer.get(LIST).status_code == 200
    assert viewer.get(f"{LIST}{machine.pk}/").status_code == 200
    assert viewer.post(f"{LIST}{machine.pk}/start/").status_code == 403
    assert viewer.get(f"{LIST}{machine.pk}/assign/").status_code == 403


@pytest.mark.parametrize(
    "address",
    ["/search/?q=%00", "/resources/desktops/?search=%00", "/resources/desktops/?pool=²", "/system/log/?user=user:²",
     "/resources/desktops/change/note/?ids=²,abc," + "9" * 30],
)  # fmt: skip
def test_nonsense_in_an_address_is_no_error(admin: Client, address: str) -> None:
    assert admin.get(address, follow=True).status_code == 200


def test_ticked_desktops_go_on_on_a_form(admin: Client, center: Center) -> None:
    one, two = make.desktop(center), make.desktop(center)
    answer = admin.post("/resources/desktops/actions/note/", {"ids": [one.pk, two.pk, "²"]})
    assert set(answer.headers["Location"].rpartition("=")[2].split("%2C")) == {str(one.pk), str(two.pk)}


def test_a_row_says_what_keeps_plans_from_acting_and_why_it_still_runs(admin: Client, center: Center) -> None:
    held, idle = make.desktop(center), make.desktop(center)
    make.assignment(make.user("gina"), held)
    plan_job(held)
    Center.objects.update(freeze_plans=True)
    page = text(admin)
    assert f"Plans are frozen at {center}: they wait." in page
    assert page.count("Keeps running: no plan is about to stop it.") == 1
    Center.objects.update(freeze_plans=False, observe_only=True)
    assert f"{center} only observes: no plan acts." in text(admin)
    Desktop.objects.filter(pk=held.pk).update(plans_off=True)
    assert "Plans do not act on it." in text(admin)
    Desktop.objects.filter(pk=idle.pk).update(running_mode="ALWAYS_ON")
    assert "Keeps running: it is Always On." in text(admin)


def test_what_comes_next_is_told_in_the_readers_zone_and_bare_in_files(admin: Client, center: Center) -> None:
    held = make.desktop(center)
    make.assignment(make.user("hugo"), held)
    plan_job(held)
    assert "</time> shut down, unless Hugo returns." in text(admin)
    body = text(admin, "?format=csv")
    assert "shut down, unless Hugo returns." in body
    assert "<time" not in body
