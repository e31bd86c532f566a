"""One contract, two doors: the web process and the endpoint process give the same answers (CONTRACTS 5.2)."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from agents.models import Agent, AgentCommand, AgentEvent
from agents.services import command
from broker.connect.models import DesktopSession
from broker.core.clock import now
from centers.models import Center, Desktop
from tests import make
from tests.agents import machine as by_web
from tests.agents.machine import Machine, drained, token_for
from tests.agents.server import Running, committed, endpoint

Door = Callable[..., Any]


@pytest.fixture(scope="module")
def db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with committed(django_db_blocker):
        yield


@pytest.fixture(scope="module")
def running(db: None) -> Iterator[Running]:
    with endpoint() as server:
        yield server


@pytest.fixture(params=["web", "endpoint"])
def door(request: pytest.FixtureRequest, running: Running) -> Door:
    return by_web.send if request.param == "web" else running.send


@pytest.fixture
def center(running: Running) -> Center:
    return make.center()


@pytest.fixture
def desktop(center: Center) -> Desktop:
    return make.desktop(center)


@pytest.fixture
def machine(center: Center, desktop: Desktop, door: Door) -> Machine:
    made = Machine(token_for(center), desktop, door=door)
    assert made.register().status_code == 201
    return made


def refused(answer: Any) -> tuple[int, str]:
    said = answer.json()
    assert set(said) - {"fields"} == {"error", "detail"}
    assert said["detail"]
    return answer.status_code, said["error"]


def test_a_machine_registers_tells_polls_and_answers(machine: Machine, door: Door) -> None:
    assert machine.said["desktop"] == str(machine.desktop)
    assert machine.tell("login")["accepted"] == [1]
    assert DesktopSession.objects.get(desktop=machine.desktop).user_name == "CORP\\alice"
    wanted = command(machine.row, "message", "a test", {"text": "hello"})
    for _ in range(2):
        found = door("GET", "commands?wait=5", None, machine.key).json()["commands"]
        assert found == [{"id": wanted.pk, "type": "message", "data": {"text": "hello"}}]
    assert door("POST", f"commands/{wanted.pk}", {"ok": True, "detail": "shown"}, machine.key).status_code == 200
    assert door("POST", f"commands/{wanted.pk}", {"ok": False}, machine.key).status_code == 200
    row = AgentCommand.objects.get(pk=wanted.pk)
    assert (row.ok, row.detail) == (True, "shown")
    assert row.fetched_at is not None
    assert door("GET", "commands", None, machine.key).json() == {"commands": [], "retry_after": 30}


def test_every_refusal_has_the_same_form(machine: Machine, door: Door) -> None:
    key = machine.key
    wrong: list[tuple[tuple[Any, ...], tuple[int, str]]] = [
        (("POST", "events", b"{", key), (400, "bad_json")),
        (("POST", "events", b"\xff", key), (400, "bad_json")),
        (("POST", "events", {}, key), (422, "invalid")),
        (("POST", "events", {}), (401, "bad_key")),
        (("POST", "events", {}, "x" * 43), (401, "bad_key")),
        (("GET", "commands", None, "short"), (401, "bad_key")),
        (("GET", "commands", None, "x" * 43), (401, "bad_key")),
        (("POST", "commands/1", {"ok": True}, "x" * 43), (401, "bad_key")),
        (("POST", "commands/0", {"ok": True}, key), (404, "unknown_command")),
        (("POST", f"commands/{10**30}", {"ok": True}, key), (404, "unknown_command")),
        (("POST", "commands/x", {"ok": True}, key), (404, "unknown_command")),
        (("POST", "commands/", {"ok": 1}, key), (422, "invalid")),
        (("POST", "register", {"token": "x", "hostname": "h", "boot_id": "b"}), (401, "bad_token")),
        (("POST", "register", {"token": "x"}), (422, "invalid")),
        (("GET", "ca"), (404, "no_ca")),
        (("GET", "events", None, key), (405, "method")),
        (("PUT", "register"), (405, "method")),
        (("POST", "commands", {}, key), (405, "method")),
        (("POST", "events/", {}, key), (404, "not_found")),
        (("GET", ""), (404, "not_found")),
        (("GET", "../../healthz"), (404, "not_found")),
        (("GET", "%00%0a%ff"), (404, "not_found")),
        (("POST", "events", b" " * 1_100_000, key), (413, "too_large")),
    ]
    assert [(call[:2], refused(door(*call))) for call, _ in wrong] == [(call[:2], said) for call, said in wrong]


def test_a_boot_that_nobody_knows_is_409_and_a_waiting_machine_may_only_poll(
    machine: Machine, center: Center, door: Door
) -> None:
    assert refused(machine.send(machine.event("login"), boot="boot-9")) == (409, "unknown_boot")
    stranger = Machine(token_for(make.center()), machine.desktop, fingerprint="other", door=door)
    stranger.register()
    assert refused(stranger.send(stranger.event("login"))) == (403, "not_approved")
    assert door("GET", "commands", None, stranger.key).json() == {"commands": [], "retry_after": 30}
    Agent.objects.filter(pk=stranger.row.pk).update(revoked_at=now())
    for call in (("GET", "commands", None), ("POST", "events", {}), ("POST", "commands/1", {"ok": True})):
        assert refused(door(*call, stranger.key)) == (401, "revoked")


def test_repeats_are_duplicates_and_bad_events_spoil_no_good_ones(machine: Machine) -> None:
    good, bad = machine.event("login"), machine.event("nonsense")
    first = machine.send(good, bad, {"type": "login"}, {**good}).json()
    assert first["accepted"] == [good["seq"]]
    assert [each["seq"] for each in first["rejected"]] == [bad["seq"], None, good["seq"]]
    again = machine.send(good, machine.event("lock")).json()
    assert (again["accepted"], again["duplicate"]) == ([3], [1])


def test_a_batch_keeps_its_order_and_its_texts(machine: Machine) -> None:
    kinds = ["login", "lock", "unlock", "disconnect", "reconnect", "logout"]
    told = [machine.event(kind, user="CORP\\Zoë 😀 \u202eevil", data={"n": [1, {"a": None}]}) for kind in kinds]
    assert machine.send(*reversed(told)).json()["accepted"] == [6, 5, 4, 3, 2, 1]
    rows = AgentEvent.objects.filter(agent=machine.row).exclude(type="register").order_by("pk")
    assert [row.type for row in rows] == kinds[::-1]
    assert {row.user for row in rows} == {"CORP\\Zoë 😀 \u202eevil"}
    assert rows[0].data == {"n": [1, {"a": None}]}
    drained()


def test_a_slow_clock_moves_no_event(machine: Machine) -> None:
    machine.slow = timedelta(hours=2)
    Agent.objects.filter(pk=machine.row.pk).update(booted_at=now() - timedelta(hours=5))
    machine.send(machine.event("login", at=(machine.clock() - timedelta(minutes=3)).isoformat()))
    row = AgentEvent.objects.get(agent=machine.row, type="login")
    assert abs(row.at - (now() - timedelta(minutes=3))) < timedelta(seconds=5)
    assert abs(machine.row.skew_seconds + 7200) < 5


def test_a_heartbeat_is_filed_only_when_its_list_changed(machine: Machine) -> None:
    drained()
    line = {"user": "CORP\\alice", "session": "2", "state": "active", "idle": 5}
    for idle in (5, 35, 65):
        assert machine.tell("heartbeat", data={"sessions": [{**line, "idle": idle}]})["accepted"]
    assert AgentEvent.objects.filter(agent=machine.row, type="heartbeat").count() == 1
    assert machine.row.sessions[0]["idle"] == 65


def test_two_clones_send_five_rounds_each_and_every_event_is_its_own_desktops(center: Center, door: Door) -> None:
    token, image = token_for(center), "7d8a3f62-0000-4000-8000-00000000000c"
    made = [Machine(token, make.desktop(center), fingerprint=f"clone-{n}", uuid=image, door=door) for n in (1, 2)]
    for clone in made:
        assert clone.register().status_code == 201
    for number in range(5):
        for name, clone in zip(("alice", "bob"), made, strict=True):
            told = clone.event("login" if number % 2 == 0 else "logout", user=f"CORP\\{name}")
            assert clone.send(told).status_code == 202
            assert door("GET", "commands", None, clone.key).status_code == 200
    drained()
    for name, clone in zip(("alice", "bob"), made, strict=True):
        rows = AgentEvent.objects.filter(agent__desktop=clone.desktop).exclude(type="register")
        assert [row.user for row in rows] == [f"CORP\\{name}"] * 5
        assert [row.seq for row in rows] == [1, 2, 3, 4, 5]


def test_a_key_that_was_rotated_is_dead(machine: Machine, door: Door) -> None:
    old = machine.key
    assert machine.register().status_code == 201
    assert refused(door("GET", "commands", None, old)) == (401, "bad_key")
    assert door("GET", "commands", None, machine.key).status_code == 200


def test_chunks_are_counted_too(running: Running, center: Center) -> None:
    def chunks(count: int) -> Iterator[bytes]:
        yield from (b" " * 100_000 for _ in range(count))

    for count, said in ((2, 400), (12, 413)):
        connection = running.connect()
        connection.request("POST", "/agent/v1/register", chunks(count), encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, bool(json.loads(answer.read())["detail"])) == (said, True)
        connection.close()


def test_one_connection_serves_many_calls(running: Running, center: Center, desktop: Desktop) -> None:
    here = Machine(token_for(center), desktop, door=running.send)
    here.register()
    connection = running.connect()
    for _ in range(3):
        connection.request("GET", "/agent/v1/commands", headers={"Authorization": f"Bearer {here.key}"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["commands"]) == (200, [])
    connection.close()
