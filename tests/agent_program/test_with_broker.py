"""The agent's calls against the real broker: its own views, on a socket."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents import zones
from agents.keys import key_hash
from agents.models import Agent, AgentCommand, AgentEvent
from agents.program.commands import Commands
from agents.program.grants import Grants
from agents.program.link import BackOff
from agents.program.machine import COMMANDS
from agents.program.settings import Settings
from agents.services import command
from broker.connect.models import DesktopSession
from broker.core.clock import now
from centers.models import Desktop
from tests.agent_program.fake import FakeMachine, alice, link_of, teller_of
from tests.agent_program.served import Served

Answer = tuple[int, dict[str, str], bytes]


def refusal(status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
    """What the broker says no with."""
    return status, headers or {}, json.dumps({"error": code, "detail": "no"}).encode()


def commands_of(settings: Settings, machine: FakeMachine) -> Commands:
    return Commands(link_of(settings, machine), machine, settings.state, Grants(machine, settings.state))


def told() -> list[tuple[str, str]]:
    """What the broker has filed beside registrations."""
    return list(AgentEvent.objects.exclude(type="register").values_list("boot_id", "type"))


def test_a_machine_registers_and_its_events_become_sessions(
    broker: Served, settings_here: Settings, machine: FakeMachine, desktop: Desktop
) -> None:
    teller = teller_of(settings_here, machine)
    spool = teller.spool
    spool.add(spool.event("agent_start"), spool.event("login", session="2", user="WSAMZN\\x"))
    assert teller.turn() > 0
    assert (teller.trouble, len(spool)) == ("", 0)
    broker.drain()
    assert told() == [("boot-1", "agent_start"), ("boot-1", "login"), ("boot-1", "heartbeat")]
    assert Agent.objects.get().desktop == desktop
    assert DesktopSession.objects.get().os_session == "2"


def test_a_key_that_the_broker_forgot_is_renewed_under_the_same_uuid(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    teller = teller_of(settings_here, machine)
    teller.turn()
    uuid = teller.link.state.uuid
    Agent.objects.update(key_digest="f" * 64)
    teller.spool.add(teller.spool.event("login", session="2", user="x"))
    assert teller.turn() == 0.0
    teller.turn()
    assert (teller.trouble, len(teller.spool), teller.link.state.uuid) == ("", 0, uuid)
    assert Agent.objects.count() == 1


def test_what_changed_on_the_machine_is_told_by_registering_again(
    broker: Served, settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = link_of(settings_here, machine)
    link.ensure()
    first = link.state.key
    link.renew()
    assert link.state.key == first
    monkeypatch.setattr("agents.program.link.VERSION", "9.9")
    broker.hook = lambda verb, path: refusal(401, "bad_token")
    link.renew()
    assert link.state.key == first  # an ended token takes no key away
    broker.hook = None
    link_of(settings_here, machine).renew()
    agent = Agent.objects.get()
    assert agent.version == "9.9"
    assert agent.key_digest != key_hash(first)


def test_a_revoked_agent_does_not_storm_the_broker(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    teller = teller_of(settings_here, machine)
    teller.spool.add(teller.spool.event("agent_start"))
    teller.link.ensure()
    broker.hook = lambda verb, path: refusal(401, "revoked") if path.endswith("events") else None
    pauses = [teller.turn() for _ in range(5)]
    assert pauses[0] == 0.0
    assert all(later >= 1 for later in pauses[1:])
    assert len(teller.spool) == 1


def test_an_unknown_boot_begins_with_agent_start(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    teller = teller_of(settings_here, machine)
    teller.link.ensure()
    Agent.objects.update(boots=[])
    teller.spool.add(teller.spool.event("login", session="2", user="x"))
    assert teller.turn() == 0.0
    teller.turn()
    assert (teller.trouble, told()[:2]) == ("", [("boot-1", "agent_start"), ("boot-1", "login")])


def test_a_broker_that_takes_no_agent_start_is_not_asked_for_ever(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    teller = teller_of(settings_here, machine)
    teller.link.ensure()
    broker.hook = lambda verb, path: refusal(409, "unknown_boot") if path.endswith("events") else None
    teller.spool.add(teller.spool.event("login", session="2", user="x"))
    assert teller.turn() == 0.0
    assert teller.turn() > 0
    assert [each["type"] for each in teller.spool.batch(9)[1]] == ["agent_start", "login"]


def test_what_an_unknown_earlier_boot_left_behind_is_let_go(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    before = teller_of(settings_here, FakeMachine(boot_id="boot-0"))
    before.spool.add(before.spool.event("login", session="9", user="x"))
    teller = teller_of(settings_here, machine)
    teller.spool.add(teller.spool.event("agent_start"))
    while teller.turn() == 0.0:
        assert len(broker.calls) < 9
    assert (teller.trouble, len(teller.spool)) == ("", 0)
    assert ("boot-0", "login") not in told()


def test_one_bad_event_holds_up_no_other(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    teller = teller_of(settings_here, machine)
    spool = teller.spool
    events = [spool.event("login", session=str(number), user="x") for number in range(7)]
    events[3]["user"] = "y" * 1_200_000  # a body that large is refused as a whole
    events[5]["type"] = "nonsense"  # this one by name
    spool.add(*events)
    for _ in range(12):
        if teller.turn() > 0:
            break
    assert (teller.trouble, len(spool)) == ("", 0)
    assert list(AgentEvent.objects.filter(type="login").values_list("os_session", flat=True)) == list("01246")


def test_slow_down_is_honoured_to_the_second(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    teller = teller_of(settings_here, machine)
    broker.hook = lambda verb, path: refusal(429, "slow_down", {"Retry-After": "77"})
    assert teller.turn() >= 77
    assert commands_of(settings_here, machine).turn() >= 77


def test_an_unapproved_machine_keeps_its_news_and_asks_now_and_then(
    broker: Served, settings_here: Settings, machine: FakeMachine, desktop: Desktop
) -> None:
    machine.workspace_id = "ws-00000000x"
    teller = teller_of(settings_here, machine)
    teller.spool.add(teller.spool.event("agent_start"))
    assert teller.turn() == 30.0
    assert len(teller.spool) == 1
    Agent.objects.update(approved=True, desktop=desktop)
    teller.turn()
    assert (teller.trouble, len(teller.spool)) == ("", 0)


def test_time_is_told_by_the_boots_clock_not_by_the_date(
    broker: Served, settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest's date jumps two hours while an event lies in the spool: it happened just now all the same."""
    teller = teller_of(settings_here, machine)
    event = teller.spool.event("login", session="2", user="x")
    event["at"] = "2026-01-01T00:00:00+00:00"
    teller.spool.add(event)
    teller.turn()
    filed = AgentEvent.objects.get(type="login")
    assert (now() - filed.at).total_seconds() < 5


# --- commands ---


def test_the_broker_learns_what_this_agent_can_do(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    link_of(settings_here, machine).ensure()
    assert set(Agent.objects.get().abilities) == COMMANDS


def test_a_time_zone_is_set_and_answered(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), "timezone", "alice connects", zones.told("Asia/Calcutta"))
    worker.turn()
    row.refresh_from_db()
    assert (row.ok, row.detail) == (True, "done")
    assert machine.done == [("timezone", zones.told("Asia/Calcutta"))]


def test_a_command_is_done_once_and_answered(broker: Served, settings_here: Settings, machine: FakeMachine) -> None:
    machine.there = [alice()]
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), "logout", "a plan", {"session": "2"})
    worker.turn()
    worker.turn()
    row.refresh_from_db()
    assert (row.ok, row.detail) == (True, "done")
    assert machine.done == [("logout", {"session": "2"})]


def test_an_answer_that_is_lost_repeats_no_deed_even_after_a_restart(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), "reboot", "an administrator")
    broker.hook = lambda verb, path: (500, {}, b"oops") if verb == "POST" else None
    worker.turn()
    broker.hook = None
    again = commands_of(settings_here, machine)
    again.turn()
    row.refresh_from_db()
    assert (row.ok, row.detail, len(machine.done)) == (True, "done", 1)


def test_a_machine_that_restarts_in_the_middle_does_not_restart_for_ever(
    broker: Served, settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), "reboot", "an administrator")

    def killed(kind: str, data: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(machine, "do", killed)
        worker.turn()
    commands_of(settings_here, machine).turn()
    row.refresh_from_db()
    assert (row.ok, machine.done) == (True, [])
    assert "stopped while" in row.detail


@pytest.mark.parametrize("kind", ["grant", "revoke"])
def test_a_right_that_was_not_given_or_taken_when_the_agent_was_killed_is_not_said_to_be(
    kind: str, broker: Served, settings_here: Settings, machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), kind, "lent", {"name": "CORP\\alice"})

    def killed(kind: str, data: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(machine, "do", killed)
        worker.turn()
    commands_of(settings_here, machine).turn()
    row.refresh_from_db()
    assert (row.ok, row.detail, machine.done) == (True, "done", [(kind, {"name": "CORP\\alice"})])


@pytest.mark.parametrize(
    ("kind", "data", "there", "words"),
    [
        ("logout", {"session": "7"}, [alice()], "There is no session 7"),
        ("logout", {"session": "2", "user": "CORP\\bob"}, [alice()], "There is no session 2 of corp\\bob"),
        ("logout", {}, [], "There is no session here"),
        ("lock", {}, [alice(), alice(number="3", user="CORP\\bob")], "say whose"),
        ("format_disk", {}, [], "knows no command"),
        ("message", {"text": "x"}, [], "no screen"),
    ],
)
def test_what_cannot_be_done_is_answered_in_words(
    broker: Served, settings_here: Settings, machine: FakeMachine, kind: str, data: Any, there: Any, words: str
) -> None:
    machine.there, machine.refuses = there, "no screen"
    worker = commands_of(settings_here, machine)
    worker.turn()
    row = command(Agent.objects.get(), kind, "a test", data)
    worker.turn()
    row.refresh_from_db()
    assert row.ok is False
    assert words in row.detail


def test_nonsense_in_place_of_commands_is_nothing(
    broker: Served, settings_here: Settings, machine: FakeMachine
) -> None:
    worker = commands_of(settings_here, machine)
    worker.link.ensure()
    for text in ('{"commands": 5}', '{"commands": [1, {}, {"id": "../x"}]}', '{"retry_after": "soon"}', "{}"):
        broker.hook = lambda verb, path, said=text: (200, {}, said.encode())  # type: ignore[misc]
        assert worker.turn() > 0
    assert (machine.done, AgentCommand.objects.count()) == ([], 0)


def test_a_right_is_given_again_and_taken_when_its_time_is_over(tmp_path: Path) -> None:
    machine = FakeMachine()
    grants = Grants(machine, tmp_path)
    grants.note("grant", {"name": "CORP\\alice", "group": "tsusers", "until": "2020-01-01T00:00:00Z"})
    grants.note("grant", {"name": "CORP\\bob", "group": "tsusers", "until": "2999-01-01T00:00:00+00:00"})
    again = Grants(machine, tmp_path)
    again.keep()
    again.keep()
    assert [(kind, data["name"]) for kind, data in machine.done] == [
        ("revoke", "CORP\\alice"), ("grant", "CORP\\bob"), ("grant", "CORP\\bob"),
    ]  # fmt: skip


def test_failures_are_spread_and_end_at_five_minutes() -> None:
    back_off = BackOff()
    pauses = [back_off.after_failure() for _ in range(12)]
    assert all(each <= 300 for each in pauses)
    assert min(pauses[-3:]) >= 150
    assert len(set(pauses)) == 12
