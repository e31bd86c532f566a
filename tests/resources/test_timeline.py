"""The timeline of a desktop and of a person: one list of all origins, in pages, as a file, quick after years."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as some

from agents.models import Agent, AgentCommand, AgentEvent
from broker.connect import agent_watch
from broker.connect.models import Launch
from broker.core import audit
from broker.core.clock import now
from broker.core.models import Job, LogEntry, ref
from broker.resources.timeline.merge import Item, Origin, Page, Place, page
from broker.resources.timeline.words import agent_says, origin_of
from centers.models import Desktop
from gateways.models import Gateway, Tunnel
from tests import make
from tests.resources.test_desktops_list import agent, plan_job
from tests.resources.test_system_pages import job

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def admin(client: Client, db: None) -> Client:
    make.defaults()
    return make.admin_client(client)


@pytest.fixture
def machine(db: None) -> Desktop:
    return make.desktop(make.center())


def told(by: Agent, kind: str, **fields: Any) -> AgentEvent:
    """An event of an agent, handled."""
    made = {"boot_id": "b", "seq": next(make.numbers), "at": now(), "received_at": now(), "handled_at": now()}
    return AgentEvent.objects.create(agent=by, type=kind, **{**made, "user": "CORP\\ada", "outcome": "noted", **fields})


def at(row: Desktop | Any, area: str = "desktops") -> str:
    return f"/resources/{area}/{row.pk}/timeline/"


def items(client: Client, address: str) -> list[Item]:
    return [each for each, _, _ in client.get(address).context["items"]]


# The merge


def item(seconds: int, source: int, pk: int, origin: Origin = Origin.BROKER) -> Item:
    return Item(Place(NOON + timedelta(seconds=seconds), source, pk), origin, f"{seconds} {source} {pk}")


@given(
    some.lists(some.tuples(some.integers(0, 5), some.integers(0, 3), some.integers(0, 40)), unique=True),
    some.integers(1, 7),
)
def test_pages_hold_everything_once_in_one_order(rows: list[tuple[int, int, int]], size: int) -> None:
    """Also where many things happened in the same instant."""
    every = sorted((item(*row) for row in rows), key=lambda each: each.place.key)

    def sources(before: Place | None) -> list[list[Item]]:
        left = [each for each in every if before is None or each.place.key > before.key]
        return [[each for each in left if each.place.source == number][: size + 1] for number in range(4)]

    seen: list[Item] = []
    before: Place | None = None
    for _ in range(len(rows) + 1):
        found = page(sources(before), size)
        seen += found.items
        before = Place.parse(found.older)
        if before is None:
            break
    assert seen == every


def test_a_place_survives_the_address_and_nonsense_is_no_place() -> None:
    place = Place(NOON + timedelta(microseconds=7), 3, 41)
    assert Place.parse(str(place)) == place
    for text in (
        "",
        "~~",
        "now~0~1",
        "2026-11-23T12:00:00~0~1",
        "2026-11-23T12:00:00+00:00~x~1",
        "9" * 40 + "~1~1",
        f"{place}9" * 9,
    ):
        assert Place.parse(text) is None, text


def test_a_page_of_one_origin() -> None:
    mixed = [[item(3, 0, 1, Origin.AWS), item(2, 0, 2), item(1, 0, 3, Origin.AWS)]]
    assert [each.place.pk for each in page(mixed, 5, [Origin.AWS]).items] == [1, 3]
    assert page([], 5) == Page()


def test_origins_and_words() -> None:
    assert origin_of("power.stop") is Origin.AWS
    assert origin_of("power.stop_requested") is Origin.BROKER
    assert origin_of("agent.lost") is Origin.AGENT
    assert origin_of("desktop.assigned") is Origin.BROKER
    assert agent_says("idle", "ada", {"seconds": 600}) == "ada has been idle for 10 minutes"
    assert agent_says("idle", "{user.x}", {"seconds": "many"}) == "{user.x} has been idle for a while"
    assert agent_says("new_kind", "", {}) == "New kind"


# The pages


def a_day_of(machine: Desktop) -> None:
    """Something of every origin, some of it told twice, and something to come."""
    ada = make.user("ada")
    one = agent(machine, registered_at=now() - timedelta(days=1))
    held = make.assignment(ada, machine)
    launch = Launch.objects.create(
        user=ada, desktop=machine, assignment=held, step="done", step_at=now(), started_at=now(), deadline=now()
    )
    Tunnel.objects.create(
        gateway=Gateway.objects.create(name="Edge"), subject=ref(launch), destination="10.0.0.9:3389", token_id="t",
        opened_at=now(), lease_until=now(), closed_at=now(), close_reason="the user left",
    )  # fmt: skip
    told(one, "login")
    told(one, "logout", outcome="ignored: it is about an older boot", at=now() - timedelta(minutes=12))
    told(one, "heartbeat", outcome="the sessions are as we know them")
    AgentCommand.objects.create(
        agent=one, type="logout", created_at=now(), expires_at=now(), done_at=now(), ok=True, reason="plan Night"
    )
    audit.record("session.login", "said twice", desktop=machine, user=ada)
    audit.record("power.stop", "AWS accepted stop: plan Night", desktop=machine)
    audit.record("power.stop_requested", "Shut down asked for.", desktop=machine, actor=ada)
    job(
        kind="power",
        subject=ref(machine),
        state="finished",
        finished_at=now(),
        message="AWS accepted stop.",
        payload={"op": "stop"},
    )
    job(kind="lock", subject=ref(machine), state="cancelled", finished_at=now(), reason="ada is active")
    plan_job(machine)


def test_one_list_of_all_origins_newest_first(admin: Client, machine: Desktop) -> None:
    a_day_of(machine)
    answer = admin.get(at(machine))
    found = [(each.origin, each.said) for each, _, _ in answer.context["items"]]
    for line in (
        (Origin.AGENT, "CORP\\ada logged in"), (Origin.AGENT, "CORP\\ada logged out"),
        (Origin.AGENT, "Asked to log the user out"), (Origin.AWS, "AWS accepted stop: plan Night"),
        (Origin.BROKER, "Shut down asked for."), (Origin.BROKER, "Finished: shut down"),
        (Origin.BROKER, "Cancelled: lock the session"), (Origin.GATEWAY, "Edge opened a way to 10.0.0.9:3389"),
        (Origin.BROKER, "Policy-assigned to Ada."),
    ):  # fmt: skip
        assert line in found, line
    assert len(found) == 9
    times = [each.at for each, _, _ in answer.context["items"]]
    assert times == sorted(times, reverse=True)
    words = answer.content.decode()
    assert words.index("shut down, unless Ada returns") < words.index("AWS accepted stop: plan Night")
    assert "Ignored: it is about an older boot" in words
    assert "Heard of only" in words


def test_origins_are_chosen_by_chips_that_stand_in_the_address(admin: Client, machine: Desktop) -> None:
    told(agent(machine), "login")
    audit.record("power.stop", "AWS said", desktop=machine)
    audit.record("desktop.released", "Released", desktop=machine)
    job(kind="wait_for_stop", subject=ref(machine), state="finished", finished_at=now(), message="AWS says STOPPED.")
    assert {each.origin for each in items(admin, f"{at(machine)}?origin=agent")} == {Origin.AGENT}
    aws = items(admin, f"{at(machine)}?origin=aws")
    assert {each.said for each in aws} == {"AWS said", "Finished: see whether it has stopped"}
    assert {each.said for each in items(admin, f"{at(machine)}?origin=broker")} == {"Released"}
    both = items(admin, f"{at(machine)}?origin=aws&origin=agent")
    assert {each.origin for each in both} == {Origin.AWS, Origin.AGENT}
    assert items(admin, f"{at(machine)}?origin=gateway") == []
    assert len(items(admin, f"{at(machine)}?origin=nonsense&before=nonsense")) == 4


def test_older_pages_go_on_where_the_first_ends(admin: Client, machine: Desktop) -> None:
    one, moment = agent(machine), now()
    for number in range(60):
        audit.record("desktop.assigned", f"entry {number}", desktop=machine)
        told(one, "login", at=moment, user=f"user {number}")
    seen: list[str] = []
    address = at(machine)
    while True:
        answer = admin.get(address)
        seen += [each.said for each, _, _ in answer.context["items"]]
        if not answer.context["older"]:
            break
        address = at(machine) + answer.context["older"]
    assert len(seen) == len(set(seen)) == 120
    assert "Next" not in answer.content.decode().split("</h1>")[1]


def test_a_persons_timeline_names_the_desktops(admin: Client, machine: Desktop) -> None:
    ben = make.user("ben")
    held = make.assignment(ben, machine)
    audit.record("session.login", "ben: login", user=ben, desktop=machine)
    audit.record("auth.login_ok", "ben signed in", user=ben)
    job(kind="release", subject=ref(machine), context=ref(held), state="aborted", finished_at=now(), reason="no")
    job(
        kind="release",
        subject=ref(machine),
        subject_name="Design 9",
        context=ref(held),
        run_at=now() + timedelta(hours=1),
    )
    answer = admin.get(at(ben, "users"))
    found = {each.said: each.origin for each, _, _ in answer.context["items"]}
    assert found["ben: login"] is Origin.AGENT
    assert found["ben signed in"] is Origin.BROKER
    assert "Aborted: release to the pool" in found
    words = answer.content.decode()
    assert f'href="/resources/desktops/{machine.pk}/"' in words
    assert "release to the pool: Design 9" in words


def test_the_file_has_both_times_and_is_safe_to_open(admin: Client, machine: Desktop) -> None:
    one = agent(machine)
    told(one, "login", user="=cmd()", at=now() - timedelta(hours=2))
    rows = list(csv.DictReader(io.StringIO(admin.get(f"{at(machine)}?format=csv").content.decode())))
    row = next(each for each in rows if each["Origin"] == "Agent")
    assert row["What"].startswith("'=cmd()")
    assert row["Received"] > row["Time"]


def test_hostile_text_is_escaped(admin: Client, machine: Desktop) -> None:
    told(agent(machine), "login", user="<img src=x>", outcome="<b>")
    words = admin.get(at(machine)).content.decode()
    assert "<img src=x>" not in words
    assert "&lt;img src=x&gt;" in words


def test_who_may_not_read_the_log_sees_no_timeline(client: Client, machine: Desktop) -> None:
    assert make.client_with(client, desktops="view").get(at(machine)).status_code == 403
    assert make.client_with(Client(), desktops="view", log="view").get(at(machine)).status_code == 200
    assert make.client_with(Client(), log="view").get(at(make.user(), "users")).status_code == 403


def test_the_silence_of_an_agent_and_its_return_are_told(machine: Desktop) -> None:
    one = agent(machine, heard=False)
    agent_watch.watch()
    agent_watch.watch()
    assert LogEntry.objects.get(event="agent.lost").desktop_ref == ref(machine)
    Agent.objects.filter(pk=one.pk).update(last_seen=now(), silent=False)
    agent_watch.watch()
    agent_watch.watch()
    assert "is heard again, after 10 minutes" in LogEntry.objects.get(event="agent.back").message


def test_a_timeline_costs_the_same_whatever_there_is(admin: Client, machine: Desktop) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert admin.get(at(machine)).status_code == 200
        return len(seen)

    one = agent(machine)
    make.assignment(make.user(), machine)
    told(one, "login"), audit.record("power.stop", "x", desktop=machine), plan_job(machine)
    few = statements()
    for _ in range(30):
        told(one, "login"), audit.record("power.stop", "x", desktop=machine), plan_job(machine)
        job(subject=ref(machine), state="finished", finished_at=now())
    assert statements() == few
    assert few <= 22


@pytest.mark.slow
def test_fifty_thousand_rows_of_history_are_shown_at_once(admin: Client, machine: Desktop) -> None:
    """Every page of it, whichever origin is chosen: at most 200 ms."""
    one, other, moment = agent(machine), agent(make.desktop(machine.center)), now()
    hours = [moment - timedelta(seconds=10 * number) for number in range(25_000)]
    events = ["desktop.assigned"] * 49 + ["power.stop"]
    LogEntry.objects.bulk_create(
        [LogEntry(at=hour, event=events[number % 50], message="x", desktop_ref=ref(machine))
         for number, hour in enumerate(hours)], batch_size=5_000,
    )  # fmt: skip
    AgentEvent.objects.bulk_create(
        [AgentEvent(agent=each, boot_id="b", seq=seq, type="login", at=hour, received_at=hour, handled_at=hour)
         for each in (one, other) for seq, hour in enumerate(hours)], batch_size=5_000,
    )  # fmt: skip
    done = {"kind": "lock", "subject": ref(machine), "state": "finished", "run_at": moment, "created_at": moment}
    Job.objects.bulk_create([Job(**done, finished_at=hour) for hour in hours[:5_000]])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    middle = Place(moment - timedelta(days=1), 1, 5)
    for query in ("", "?origin=aws", "?origin=gateway", f"?before={middle}".replace("+", "%2B"), "?origin=agent"):
        took = [spent(admin, f"{at(machine)}{query}")]
        while min(took) > 0.2 and len(took) < 20:  # others share the machine: its best counts
            took.append(spent(admin, f"{at(machine)}{query}"))
        assert min(took) <= 0.2, (query, min(took))


def spent(client: Client, address: str) -> float:
    """Seconds for a page, the database's and ours."""
    began = time.perf_counter()
    assert client.get(address).status_code == 200
    return time.perf_counter() - began
