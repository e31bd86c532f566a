"""Resources > Sessions > Through gateways: who, how, how long, how much, who ended it; and ending one."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from broker.connect.carried import sentence, size
from broker.connect.models import DesktopSession, Launch
from broker.core.clock import now
from broker.core.models import LogEntry
from gateways.models import Gateway, Tunnel
from tests import make
from tests.resources.test_sessions_pages import statements

pytestmark = pytest.mark.django_db
LIST = "/resources/sessions/gateways/"


@pytest.fixture
def admin(client: Client) -> Client:
    make.defaults()
    return make.admin_client(client)


def launch(name: str = "") -> Launch:
    """Somebody at a desktop."""
    person, desktop = make.user(name), make.desktop(make.center())
    return Launch.objects.create(
        user=person, desktop=desktop, assignment=make.assignment(person, desktop), protocol="html5_rdp", step="done",
        step_at=now(), started_at=now(), opened_at=now(), deadline=now(), client_ip="192.0.2.7",
    )  # fmt: skip


def way(of: Launch, **fields: Any) -> Tunnel:
    """What went through a gateway."""
    gateway = Gateway.objects.get_or_create(name="Edge")[0]
    made = {
        "gateway": gateway, "gateway_name": "Edge", "token_id": f"t{Tunnel.objects.count()}",
        "subject": f"launch:{of.pk}",
        "user": f"user:{of.user_id}", "protocol": "rdp", "destination": "10.0.0.9:3389", "client_ip": "192.0.2.7",
        "opened_at": now() - timedelta(minutes=12), "lease_until": now(), "used_at": now() - timedelta(minutes=12),
        "bytes_in": 3_200_000, "bytes_out": 20_100_000_000,
    }  # fmt: skip
    return Tunnel.objects.create(**{**made, **fields})


def test_a_row_says_who_how_from_where_for_how_long_how_much_and_who_ended_it(admin: Client) -> None:
    of = launch("nora")
    way(of, closed_at=now(), closed_by="limit", close_reason="The longest time of the policy is over.")
    page = admin.get(f"{LIST}?state=all").content.decode()
    for words in ("Nora", str(of.desktop), "Edge", "HTML5 RDP", "192.0.2.7", "12 minutes", "3.2 MB", "20.1 GB",
                  "Time limit", "The longest time of the policy is over.", "Ended"):  # fmt: skip
        assert words in page, words
    assert f'href="/resources/users/{of.user_id}/"' in page
    assert f'href="/resources/desktops/{of.desktop_id}/"' in page
    assert "nora" in admin.get(f"{LIST}?state=all&format=csv").content.decode()


def test_a_port_that_waits_for_its_end_has_lasted_until_its_client_left(admin: Client) -> None:
    left = now() - timedelta(minutes=5)
    way(launch("nora"), protocol="tcp", left_at=left, closed_at=now(), closed_by="user")
    assert "7 minutes" in admin.get(f"{LIST}?state=all").content.decode()


def test_what_is_open_is_shown_first_and_what_nobody_used_never(admin: Client) -> None:
    way(launch("olaf"))
    way(launch("pia"), closed_at=now(), closed_by="user")
    way(launch("quinn"), used_at=None, closed_at=now(), closed_by="broker")
    way(launch("rosa"), used_at=None, protocol="tcp")
    page = admin.get(LIST).content.decode()
    assert "Olaf" in page and "Connected" in page
    assert "Rosa" in page and "Waits for its user" in page
    assert "Pia" not in page
    everything = admin.get(f"{LIST}?state=all").content.decode()
    assert "Pia" in everything
    assert "Quinn" not in everything


def test_one_finds_those_of_a_person_a_desktop_an_address(admin: Client) -> None:
    one, other = launch("olaf"), launch("pia")
    way(one)
    way(other, client_ip="198.51.100.1")
    for asked in (f"user=user:{one.user_id}", "user=ola", f"desktop=desktop:{one.desktop_id}",
                  f"desktop={one.desktop.display_name}", "search=192.0.2.7"):  # fmt: skip
        page = admin.get(f"{LIST}?{asked}").content.decode()
        assert "Olaf" in page, asked
        assert "Pia" not in page or one.desktop.display_name in other.desktop.display_name, asked


def test_an_administrator_ends_one(admin: Client) -> None:
    row = way(launch("sven"))
    asked = admin.post(f"{LIST}{row.pk}/end/")
    assert "cut off at once" in asked.content.decode()
    assert Tunnel.objects.get().closed_at is None
    assert admin.post(f"{LIST}{row.pk}/end/", {"confirmed": "yes"}).status_code == 303
    row.refresh_from_db()
    assert row.closed_at and row.close_reason.endswith("ended the connection.")
    assert LogEntry.objects.get(event="gateway.ended").desktop_name


def test_who_may_only_look_ends_nothing(client: Client) -> None:
    make.defaults()
    row = way(launch("sven"))
    viewer = make.client_with(client, sessions="view")
    assert viewer.get(LIST).status_code == 200
    assert viewer.post(f"{LIST}{row.pk}/end/", {"confirmed": "yes"}).status_code == 403
    assert make.client_with(Client(), pools="edit").get(LIST).status_code == 403


def test_fifty_rows_cost_what_one_costs(admin: Client) -> None:
    way(launch())
    few = statements(admin, f"{LIST}?per_page=100&state=all")
    for _ in range(20):
        way(launch())
    assert statements(admin, f"{LIST}?per_page=100&state=all") == few


def test_the_session_on_the_desktop_names_its_gateway(admin: Client) -> None:
    of = launch("tove")
    DesktopSession.objects.create(
        desktop=of.desktop, boot_id="b", os_session="2", user=of.user, user_name="CORP\\tove", started_at=now(),
        changed_at=now(), assignment=of.assignment,
    )  # fmt: skip
    assert "Direct" in admin.get("/resources/sessions/?columns=gateway").content.decode()
    way(of)
    page = admin.get("/resources/sessions/?columns=gateway&columns=protocol").content.decode()
    assert "Edge" in page
    assert "HTML5 RDP" in page


def test_the_timelines_say_it_in_a_sentence(admin: Client) -> None:
    of = launch("ulla")
    row = way(of, closed_at=now(), closed_by="user", close_reason="The page was closed.")
    assert sentence(row, now()).startswith("from 192.0.2.7, for 12 minutes, 3.2 MB in, 20.1 GB out; ended by user ")
    for page in (f"/resources/desktops/{of.desktop_id}/timeline/", f"/resources/users/{of.user_id}/timeline/"):
        said = admin.get(page).content.decode()
        assert "Edge opened a way to 10.0.0.9:3389" in said
        assert "for 12 minutes, 3.2 MB in, 20.1 GB out; ended by user" in said


@pytest.mark.parametrize(("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (5 * 10**12, "5.0 TB")])
def test_bytes_as_people_read_them(count: int, said: str) -> None:
    assert size(count) == said
