"""/agent/v1/ over HTTP: every answer of CONTRACTS 3, clones, repeats, wrong clocks."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents import inbox, keys
from agents.models import Agent, AgentEvent, EnrolmentToken
from agents.services import command
from broker.connect import events
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import LogEntry
from broker.embedded import tls
from broker.resources.enrolment import issue
from centers.models import Center, Desktop
from tests import make

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    make.defaults()
    with time_machine.travel(NOON, tick=False) as stopped:
        yield stopped


@pytest.fixture
def center() -> Center:
    return make.center()


@pytest.fixture
def desktop(center: Center) -> Desktop:
    return make.desktop(center)


def token_for(center: Center, **fields: Any) -> str:
    token = keys.new_key()
    EnrolmentToken.objects.create(
        center=center, digest=keys.key_hash(token), hint=token[:4], created_at=now(), **fields
    )
    return token


def send(method: str, path: str, body: Any = None, key: str = "") -> Any:
    """One call; the body may be bytes that are no JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer: Any = Client().generic(method, f"/agent/v1/{path}", content, "application/json", headers=headers)
    return answer


def refused(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal, which always has words."""
    said = answer.json()
    assert said["detail"]
    return answer.status_code, said["error"]


@dataclass
class Machine:
    """A machine with an agent; `uuid` None until it has registered."""

    token: str
    desktop: Desktop
    fingerprint: str = "smbios-1"
    boot: str = "boot-1"
    uuid: str | None = None
    key: str = ""
    seq: int = 0
    slow: timedelta = timedelta()
    said: dict[str, Any] = field(default_factory=dict)

    def clock(self) -> datetime:
        return now() - self.slow

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "token": self.token, "uuid": self.uuid, "fingerprint": self.fingerprint, "boot_id": self.boot,
            "hostname": self.desktop.computer_name, "workspace_id": self.desktop.ref, "version": "1",
            "addresses": [self.desktop.address], "sent_at": self.clock().isoformat(), **more,
        }  # fmt: skip

    def register(self, **more: Any) -> Any:
        answer = send("POST", "register", self.body(**more))
        if answer.status_code == 201:
            self.said = answer.json()
            self.uuid, self.key = self.said["uuid"], self.said["key"]
        return answer

    def event(self, kind: str, **more: Any) -> dict[str, Any]:
        self.seq += 1
        made = {"seq": self.seq, "type": kind, "at": self.clock().isoformat()}
        if kind not in {"agent_start", "agent_stop", "heartbeat"}:
            made |= {"user": "CORP\\alice", "session": "2"}
        return made | more

    def send(self, *told: dict[str, Any], key: str = "", boot: str = "") -> Any:
        body = {"boot_id": boot or self.boot, "sent_at": self.clock().isoformat(), "events": list(told)}
        return send("POST", "events", body, key or self.key)

    def tell(self, kind: str, **more: Any) -> Any:
        answer = self.send(self.event(kind, **more))
        assert answer.status_code == 202, answer.content
        events.drain()
        return answer.json()

    @property
    def row(self) -> Agent:
        return Agent.objects.get(uuid=str(self.uuid))


@pytest.fixture
def machine(center: Center, desktop: Desktop) -> Machine:
    made = Machine(token_for(center), desktop)
    assert made.register().status_code == 201
    return made


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


def test_two_clones_of_one_image_live_side_by_side(center: Center) -> None:
    token, born_with = token_for(center), str(uuid.uuid4())
    clones = [
        Machine(token, make.desktop(center), fingerprint=f"smbios-{number}", boot="same", uuid=born_with)
        for number in range(2)
    ]
    for _ in range(5):
        for clone in clones:
            assert clone.register().status_code == 201
            assert clone.send(clone.event("login", session=str(clone.seq))).status_code == 202
            assert send("GET", "commands", {}, clone.key).status_code == 200
    events.drain()
    assert Agent.objects.filter(revoked_at=None, approved=True).count() == 2
    for clone in clones:
        assert clone.row.desktop == clone.desktop
        assert {each.agent.uuid for each in AgentEvent.objects.filter(agent__desktop=clone.desktop)} == {clone.row.uuid}
        assert DesktopSession.objects.filter(desktop=clone.desktop).count() == 5


def test_the_same_machine_that_registers_again_gets_a_new_key_and_the_old_one_ends(machine: Machine) -> None:
    old = machine.key
    before = machine.uuid
    assert machine.register().status_code == 201
    assert (machine.uuid, Agent.objects.count()) == (before, 1)
    assert refused(send("GET", "commands", {}, old)) == (401, "bad_key")
    assert send("GET", "commands", {}, machine.key).status_code == 200


def test_a_second_agent_waits_while_the_first_is_heard(machine: Machine, desktop: Desktop) -> None:
    thief = Machine(machine.token, desktop, fingerprint="another")
    assert thief.register().status_code == 201
    assert (thief.said["desktop"], thief.said["approved"]) == (None, False)
    assert send("GET", "commands", {}, machine.key).status_code == 200
    assert machine.row.desktop == desktop


def test_a_second_agent_takes_over_from_a_silent_one_and_it_is_logged(
    machine: Machine, desktop: Desktop, clock: Any
) -> None:
    clock.shift(96)
    heir = Machine(machine.token, desktop, fingerprint="another")
    heir.register()
    assert heir.said["approved"]
    assert refused(send("GET", "commands", {}, machine.key)) == (401, "revoked")
    assert "fell silent" in LogEntry.objects.get(event="agent.replaced").message


def test_a_machine_that_lost_its_state_takes_over_at_once(machine: Machine, desktop: Desktop, clock: Any) -> None:
    clock.shift(1)
    machine.tell("heartbeat")
    again = Machine(machine.token, desktop)
    again.register()
    assert again.said["approved"]
    assert again.uuid != machine.uuid
    assert refused(send("GET", "commands", {}, machine.key)) == (401, "revoked")
    assert "of the same machine" in LogEntry.objects.get(event="agent.replaced").message


def test_a_machine_whose_answer_got_lost_asks_again_and_stays_one(machine: Machine, desktop: Desktop) -> None:
    again = Machine(machine.token, desktop)
    again.register()
    assert again.uuid == machine.uuid
    assert Agent.objects.count() == 1
    assert refused(send("GET", "commands", {}, machine.key)) == (401, "bad_key")


def test_a_machine_that_was_faster_than_the_scan_is_settled_by_it(center: Center) -> None:
    early = Machine(token_for(center), make.desktop(center, ref="ws-early00001"))
    Desktop.objects.filter(pk=early.desktop.pk).update(ref="ws-other00001", computer_name="OTHER")
    early.register()
    assert not early.said["approved"]
    Desktop.objects.filter(pk=early.desktop.pk).update(
        ref="ws-early00001", computer_name=early.desktop.computer_name, sighted_at=now()
    )
    assert inbox.settle_waiting(center) == 1
    assert (early.row.approved, early.row.desktop) == (True, early.desktop)
    late = Machine(early.token, early.desktop, fingerprint="another")
    late.register()
    assert inbox.settle_waiting(center) == 0


def test_a_machine_of_another_name_or_of_a_stopped_desktop_waits_for_a_person(
    center: Center, desktop: Desktop, clock: Any
) -> None:
    token = token_for(center)
    stranger = Machine(token, desktop, fingerprint="another")
    assert not stranger.register(hostname="somewhere-else").json()["approved"]
    Desktop.objects.filter(pk=desktop.pk).update(power="stopped", raw_state="STOPPED")
    clock.shift(1)
    thief = Machine(token, desktop, fingerprint="a third")
    assert not thief.register().json()["approved"]
    Desktop.objects.filter(pk=desktop.pk).update(power="running", sighted_at=NOON - timedelta(days=1))
    assert inbox.settle_waiting(center) == 0
    assert not Agent.objects.exclude(desktop=None).exists()


def test_a_desktop_that_was_asked_to_start_may_register_before_aws_says_that_it_runs(
    center: Center, desktop: Desktop
) -> None:
    wish = {"wish": "start", "wish_until": now() + timedelta(minutes=5)}
    Desktop.objects.filter(pk=desktop.pk).update(power="stopped", raw_state="STOPPED", **wish)
    assert Machine(token_for(center), desktop).register().json()["approved"]


def test_a_known_agent_of_a_stopped_desktop_stays_its_agent(machine: Machine, desktop: Desktop) -> None:
    Desktop.objects.filter(pk=desktop.pk).update(power="stopped", raw_state="STOPPED")
    machine.register(hostname="renamed")
    assert (machine.said["approved"], machine.row.desktop) == (True, desktop)


def test_who_is_settled_while_another_takes_the_desktop_goes_on_waiting(machine: Machine, desktop: Desktop) -> None:
    other = Machine(machine.token, desktop, fingerprint="another")
    other.register()
    assert not inbox.settled(other.row, desktop)
    assert machine.row.desktop == desktop


def test_agents_get_the_ca_that_their_enrolment_string_names(
    center: Center, desktop: Desktop, settings: Any, tmp_path: Path
) -> None:
    assert refused(send("GET", "ca")) == (404, "no_ca")
    settings.AGENT_CA = str(tls.agent_ca(tmp_path)[0])
    answer = send("GET", "ca")
    assert answer["Content-Type"] == "application/x-pem-file"
    digest = x509.load_pem_x509_certificate(answer.content).fingerprint(hashes.SHA256()).hex()
    text = issue(center)
    assert keys.split_enrolment(text)[1] == digest
    assert Machine(text, desktop).register().status_code == 201


def test_without_an_id_name_and_address_together_find_the_desktop(center: Center, desktop: Desktop) -> None:
    for addresses, found in (([desktop.address], True), (["10.9.9.9"], False), (["198.19.1.1"], False)):
        Agent.objects.all().delete()
        answer = Machine(token_for(center), desktop).register(
            workspace_id="", hostname=f"{desktop.computer_name.lower()}.corp.example.test", addresses=addresses
        )
        assert (answer.json()["desktop"] == str(desktop), answer.json()["approved"]) == (found, found)


def test_a_desktop_of_another_center_is_no_match(center: Center, desktop: Desktop) -> None:
    other = make.center()
    said = Machine(token_for(other), desktop).register().json()
    assert (said["desktop"], said["approved"]) == (None, False)


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
