"""/agent/v1/ over HTTP: every answer of CONTRACTS 3, clones, repeats, wrong clocks."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import keys, views
from agents.limits import Limits
from agents.models import Agent, AgentEvent
from agents.services import command
from broker.connect import events
from broker.connect.models import DesktopSession
from broker.core.clock import now
from centers.models import Center, Desktop
from tests import make
from tests.agents.machine import Machine, refused, send, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def test_a_machine_registers_and_is_its_desktops_agent(machine: Machine, desktop: Desktop) -> None:
    assert (machine.said["desktop"], machine.said["approved"]) == (str(desktop), True)
    assert machine.row.desktop == desktop
    assert len(machine.key) >= 32
    assert machine.row.key_digest == keys.key_hash(machine.key)
    assert machine.key not in str(Agent.objects.values())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"nonsense", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_bad_json(body: bytes, machine: Machine) -> None:
    assert refused(send("POST", "register", body)) == (400, "bad_json")
    assert refused(send("POST", "events", body, machine.key)) == (400, "bad_json")
    assert refused(send("POST", "commands/1", body, machine.key)) == (400, "bad_json")


def test_an_unknown_ended_or_missing_token_is_bad_token(center: Center, desktop: Desktop) -> None:
    ended = token_for(center, expires_at=now() - timedelta(seconds=1))
    taken_back = token_for(center, revoked_at=now())
    for token in ("nonsense", "", ended, taken_back):
        assert refused(Machine(token, desktop).register()) == (401, "bad_token")
    assert not Agent.objects.exists()


def test_the_web_process_knows_limits_too(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "LIMITS", Limits(calls=0.5, events=1e6, registrations=1))
    said = [send("GET", "commands", None, machine.key) for _ in range(6)]
    assert [each.status_code for each in said] == [200] * 5 + [429]
    assert refused(said[-1]) == (429, "slow_down")
    assert 1 <= int(said[-1]["Retry-After"]) <= 2
    bad = [Machine("nonsense", machine.desktop).register().status_code for _ in range(4)]
    assert bad == [401, 401, 429, 429]


def test_the_token_works_with_the_hash_of_the_ca_behind_it(center: Center, desktop: Desktop) -> None:
    token = token_for(center)
    assert Machine(f"{token}.{'ab' * 32}", desktop).register().status_code == 201


def test_fields_that_are_wrong_are_named(center: Center, desktop: Desktop) -> None:
    answer = Machine(token_for(center), desktop).register(port=99999, hostname="", macs="x")
    assert refused(answer) == (422, "invalid")
    assert set(answer.json()["fields"]) == {"port", "hostname", "macs"}


@pytest.mark.parametrize("key", ["", "short", "x" * 43, "ü" * 30])
def test_a_wrong_key_is_bad_key(key: str, machine: Machine) -> None:
    for method, path in (("POST", "events"), ("GET", "commands"), ("POST", "commands/1")):
        assert refused(send(method, path, {}, key)) == (401, "bad_key")


def test_a_revoked_agent_is_told_so(machine: Machine) -> None:
    Agent.objects.update(revoked_at=now())
    assert refused(send("GET", "commands", {}, machine.key)) == (401, "revoked")


def test_a_boot_begins_with_register_or_agent_start(machine: Machine) -> None:
    assert refused(machine.send(machine.event("login"), boot="boot-2")) == (409, "unknown_boot")
    assert machine.send(machine.event("agent_start"), machine.event("login"), boot="boot-2").status_code == 202


def test_a_body_over_a_megabyte_and_more_than_500_events_are_too_large(machine: Machine) -> None:
    assert refused(send("POST", "events", b" " * 1_100_000, machine.key)) == (413, "too_large")
    many = [machine.event("heartbeat") for _ in range(501)]
    assert refused(machine.send(*many)) == (413, "too_large")
    assert not AgentEvent.objects.exclude(type="register").exists()


def test_a_wrong_method_is_405(machine: Machine) -> None:
    assert send("GET", "events", {}, machine.key).status_code == 405
    assert send("POST", "commands", {}, machine.key).status_code == 405


def test_bad_events_of_a_batch_spoil_no_good_ones(machine: Machine) -> None:
    good, bad = machine.event("login"), machine.event("nonsense")
    said = machine.send(good, bad, {"type": "login"}, {**good}).json()
    assert said["accepted"] == [good["seq"]]
    assert [each["seq"] for each in said["rejected"]] == [bad["seq"], None, good["seq"]]
    assert all(each["reason"] for each in said["rejected"])


def test_a_batch_that_comes_twice_is_filed_once(machine: Machine) -> None:
    batch = [machine.event("login"), machine.event("lock")]
    first, again = machine.send(*batch).json(), machine.send(*batch).json()
    assert (first["accepted"], first["duplicate"]) == ([1, 2], [])
    assert (again["accepted"], again["duplicate"]) == ([], [1, 2])
    events.drain()
    assert DesktopSession.objects.count() == 1
    assert AgentEvent.objects.exclude(type="register").count() == 2


def test_a_replayed_old_session_changes_nothing(machine: Machine, clock: Any) -> None:
    old = machine.event("login")
    machine.send(old)
    machine.tell("logout")
    clock.shift(60)
    machine.tell("login")
    assert machine.send(old).json()["duplicate"] == [1]
    events.drain()
    assert DesktopSession.objects.filter(ended_at=None).count() == 1


def test_a_late_agent_start_of_an_older_boot_ends_no_session(machine: Machine, clock: Any) -> None:
    """An agent that was cut off for a whole boot sends its spool after the newer boot has registered."""
    clock.shift(3600)
    machine.boot = "boot-3"
    machine.register()
    machine.tell("login")
    late = {"seq": 900, "type": "agent_start", "at": (now() - timedelta(minutes=30)).isoformat()}
    assert machine.send(late, boot="boot-2").status_code == 202
    events.drain()
    assert DesktopSession.objects.get().ended_at is None
    assert machine.row.boot_id == "boot-3"
    assert AgentEvent.objects.get(seq=900).outcome == "ignored: it is about an older boot"


def test_who_waits_for_approval_may_only_poll(center: Center, desktop: Desktop) -> None:
    stranger = Machine(token_for(make.center()), desktop)
    stranger.register()
    assert refused(stranger.send(stranger.event("login"))) == (403, "not_approved")
    answer = send("GET", "commands", {}, stranger.key)
    assert answer.json() == {"commands": [], "retry_after": 30}


def test_a_command_is_fetched_answered_once_and_then_gone(machine: Machine) -> None:
    wanted = command(machine.row, "message", "a test", {"text": "hello"})
    expected = {"id": wanted.pk, "type": "message", "data": {"text": "hello"}}
    for _ in range(2):
        assert send("GET", "commands?wait=25", {}, machine.key).json()["commands"] == [expected]
    assert send("POST", f"commands/{wanted.pk}", {"ok": True, "detail": "shown"}, machine.key).status_code == 200
    assert send("POST", f"commands/{wanted.pk}", {"ok": False}, machine.key).status_code == 200
    wanted.refresh_from_db()
    assert (wanted.ok, wanted.detail, wanted.done_at) == (True, "shown", now())
    assert send("GET", "commands", {}, machine.key).json()["commands"] == []
    assert refused(send("POST", f"commands/{wanted.pk}", {}, machine.key)) == (422, "invalid")


def test_a_command_of_another_agent_is_404(machine: Machine, center: Center) -> None:
    other = Machine(machine.token, make.desktop(center), fingerprint="other")
    other.register()
    foreign = command(machine.row, "lock", "a test")
    assert refused(send("POST", f"commands/{foreign.pk}", {"ok": True}, other.key)) == (404, "unknown_command")
    assert send("GET", "commands", {}, other.key).json()["commands"] == []


def test_an_expired_command_is_not_given_out(machine: Machine, clock: Any) -> None:
    command(machine.row, "lock", "a test")
    clock.shift(301)
    assert send("GET", "commands", {}, machine.key).json()["commands"] == []


def test_a_heartbeat_updates_in_place_and_files_a_row_only_on_change(machine: Machine, clock: Any) -> None:
    line = {"user": "CORP\\alice", "session": "2", "state": "active", "idle": 5}
    events.drain()
    machine.tell("heartbeat", data={"sessions": [line]})
    filed = AgentEvent.objects.count()
    clock.shift(30)
    machine.tell("heartbeat", data={"sessions": [{**line, "idle": 35}]})
    assert (AgentEvent.objects.count(), machine.row.last_seen) == (filed, now())
    machine.tell("heartbeat", data={"sessions": []})
    assert AgentEvent.objects.count() == filed + 1
    assert DesktopSession.objects.get().ended_at is not None


def test_a_heartbeat_heals_also_where_its_list_is_that_of_the_one_before(machine: Machine, clock: Any) -> None:
    machine.tell("heartbeat", data={"sessions": []})
    machine.tell("login")
    clock.shift(30)
    machine.tell("heartbeat", data={"sessions": []})
    assert DesktopSession.objects.get().ended_at == now()


def test_a_heartbeat_of_a_new_boot_heals_a_lost_login_with_the_list_of_the_old_boot(
    machine: Machine, clock: Any
) -> None:
    line = {"user": "CORP\\alice", "session": "2", "state": "active"}
    machine.tell("login")
    machine.tell("heartbeat", data={"sessions": [line]})
    clock.shift(60)
    machine.boot = "boot-2"
    machine.tell("agent_start")
    machine.tell("heartbeat", data={"sessions": [line]})
    assert list(DesktopSession.objects.order_by("pk").values_list("boot_id", "ended_at")) == [
        ("boot-1", now()), ("boot-2", None)
    ]  # fmt: skip


def test_a_guest_clock_two_hours_slow_moves_no_event(machine: Machine, clock: Any) -> None:
    machine.slow = timedelta(hours=2)
    clock.shift(600)
    told = machine.event("login", at=(machine.clock() - timedelta(minutes=3)).isoformat())
    machine.send(told)
    events.drain()
    assert DesktopSession.objects.get().started_at == now() - timedelta(minutes=3)
    assert machine.row.skew_seconds == -7200


def test_a_clock_that_was_never_set_and_idleness_of_years_break_nothing(machine: Machine) -> None:
    lines = [{"session": "1", "user": "CORP\\alice", "idle": 10 * 365 * 86_400}]
    started = {**machine.event("agent_start"), "booted_at": "0001-01-01T00:00:00Z", "at": "0001-01-01T00:00:00Z"}
    told = {**machine.event("heartbeat", data={"sessions": lines}), "at": "0001-01-02T00:00:00Z"}
    body = {"boot_id": "boot-2", "events": [started, told]}
    assert send("POST", "events", body, machine.key).status_code == 202


def test_an_event_that_raises_is_set_aside_and_stops_no_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "healed", lambda *_: 1 / 0)
    machine.send(machine.event("heartbeat", data={"sessions": [{"session": "9", "user": "x"}]}), machine.event("login"))
    events.drain()
    assert AgentEvent.objects.get(type="heartbeat").error.startswith("ZeroDivisionError")
    assert DesktopSession.objects.count() == 1


def cost(machine: Machine, count: int) -> int:
    told = [machine.event("idle", data={"seconds": 60}) for _ in range(count)]
    with CaptureQueriesContext(connection) as seen:
        assert machine.send(*told).status_code == 202
    return len(seen)


def test_a_post_of_a_hundred_events_costs_as_many_statements_as_one(machine: Machine) -> None:
    one = cost(machine, 1)
    assert cost(machine, 100) == one
    assert one <= 10
