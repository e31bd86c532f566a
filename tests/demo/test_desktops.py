"""The simulated machines against a live broker and the simulated account (RULES 1-3, 19; DESIGN 8)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer

from agents.models import Agent, AgentEvent, EnrolmentToken
from agents.services import command, knows
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.demo.desktops.disk import IMAGE_UUID, load
from broker.demo.desktops.fleet import Fleet
from broker.demo.desktops.machine import CannotDo
from centers.models import Desktop
from tests import make
from tests.agents.machine import drained
from tests.aws_simulator import of_user
from tests.demo.desktop_world import PATIENCE, World, known, world
from tests.ports import free_port
from tests.services import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def here(live_server: LiveServer, tmp_path: Path) -> Iterator[World]:
    """The world, with every AVAILABLE WorkSpace switched on."""
    with world(live_server.url, tmp_path) as made:
        yield made


def test_clones_of_one_image_become_machines_of_their_own(here: World) -> None:
    one, other = here.enrolled("bob"), here.enrolled("dave")
    wait_for(lambda: Agent.objects.count() == 3, PATIENCE, "all three AVAILABLE machines registered")
    assert one.uuid != other.uuid
    assert one.key_digest != other.key_digest
    assert IMAGE_UUID in {str(each.uuid) for each in Agent.objects.all()}
    assert all(each.approved for each in Agent.objects.all())
    assert [each.type for each in here.told("bob", "agent_start")] == ["agent_start"]


def test_a_session_told_by_the_agent_becomes_a_session_of_the_broker(here: World) -> None:
    bob = make.user("bob", here.center.server)
    here.enrolled("bob")
    here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob", "sid": bob.sid})
    for action in ("idle", "active", "lock", "unlock", "disconnect", "reconnect"):
        here.fleet.act({"action": action, "name": "bob", "seconds": 60})
    here.told("bob", "login", "idle", "active", "lock", "unlock", "disconnect", "reconnect")
    drained()
    session = DesktopSession.objects.get()
    assert (session.user, session.state, session.ended_at) == (bob, "active", None)
    here.fleet.act({"action": "logout", "name": "bob"})
    here.told("bob", "logout")
    drained()
    session.refresh_from_db()
    assert session.state == "ended"
    assert not AgentEvent.objects.exclude(error="").exists()


def test_stop_and_start_keep_who_it_is_and_begin_a_new_boot(here: World) -> None:
    before = here.enrolled("bob")
    here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
    here.told("bob", "login")
    here.becomes("bob", "STOPPING")
    told = here.told("bob", "agent_stop", "logout")
    assert told[-1].data == {"reason": "shutdown"}
    here.becomes("bob", "STOPPED")
    with pytest.raises(CannotDo, match="not running: AWS says STOPPED"):
        here.fleet.act({"action": "login", "name": "bob"})
    here.becomes("bob", "STARTING")
    here.becomes("bob", "AVAILABLE")
    wait_for(lambda: len(here.told("bob", "agent_start")) == 2, PATIENCE, "a second boot")
    after = here.enrolled("bob")
    assert (after.pk, after.uuid, after.key_digest) == (before.pk, before.uuid, before.key_digest)
    assert len(set(AgentEvent.objects.filter(agent=after, type="agent_start").values_list("boot_id"))) == 2


def test_a_rebuild_wipes_the_disk_and_makes_a_new_identity(here: World) -> None:
    before = here.enrolled("dave")
    wait_for(lambda: Agent.objects.count() == 3, PATIENCE, "all three registered")
    old_address = here.machine("dave").hardware.address
    here.becomes("dave", "REBUILDING")
    assert not here.fleet._folder.joinpath(f"{of_user(here.aws, 'dave').id}.json").exists()
    with here.aws.account.at_present():
        of_user(here.aws, "dave").ip_address = here.aws.account.new_address()
    row = of_user(here.aws, "dave")
    Desktop.objects.filter(ref=row.id).update(address=row.ip_address)
    here.becomes("dave", "AVAILABLE")
    wait_for(lambda: here.enrolled("dave").key_digest != before.key_digest, PATIENCE, "another key")
    assert here.enrolled("dave").addresses == [row.ip_address] != [old_address]


def test_a_machine_whose_power_is_cut_falls_silent(here: World) -> None:
    here.enrolled("bob")
    here.told("bob", "agent_start")
    here.becomes("bob", "STOPPED")
    assert not here.machine("bob").on
    assert not AgentEvent.objects.filter(type="agent_stop").exists()


def test_an_unhealthy_machine_is_silent_and_keeps_its_boot_and_sessions(here: World) -> None:
    here.enrolled("bob")
    here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
    boot = here.machine("bob").disk.boot_id
    here.becomes("bob", "UNHEALTHY")
    assert here.fleet.places[here.machine("bob").hardware.id].agent is None
    here.becomes("bob", "AVAILABLE")
    assert (here.machine("bob").disk.boot_id, len(here.machine("bob").disk.sessions)) == (boot, 1)


@pytest.mark.parametrize(
    ("kind", "data", "event"),
    [("lock", {}, "lock"), ("disconnect", {}, "disconnect"), ("logout", {"session": "2"}, "logout")],
)
def test_commands_are_carried_out_and_answered(here: World, kind: str, data: dict[str, str], event: str) -> None:
    agent = here.enrolled("bob")
    here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
    here.told("bob", "login")
    asked = command(agent, kind, "a test", data)
    here.told("bob", event)
    wait_for(lambda: agent.commands.filter(pk=asked.pk, ok=True).exists(), PATIENCE, "the command is answered")


def test_the_right_to_log_on_is_kept_on_the_disk_until_it_is_revoked(here: World) -> None:
    agent = here.enrolled("bob")
    until = "2026-12-01T12:00:00+00:00"
    right = {"sid": "S-1-5-21-1", "name": "CORP\\zoe", "group": "Remote Desktop Users", "until": until}
    asked = [command(agent, "grant", "a test", right), command(agent, "grant", "a test", {"sid": "S-1-5-21-2"})]
    wait_for(lambda: agent.commands.filter(done_at__isnull=False).count() == len(asked), PATIENCE, "both are answered")
    assert [each.ok for each in agent.commands.order_by("pk")] == [True, False]  # a right is somebody's
    assert load(here.machine("bob").path).rights == [right]
    here.becomes("bob", "STOPPED")
    here.becomes("bob", "AVAILABLE")
    gone = command(agent, "revoke", "a test", {"name": "corp\\ZOE"})
    wait_for(lambda: agent.commands.filter(pk=gone.pk, ok=True).exists(), PATIENCE, "the revoke is answered")
    assert here.machine("bob").disk.rights == []


def test_a_message_is_shown_and_what_cannot_be_done_is_answered_so(here: World) -> None:
    agent = here.enrolled("bob")
    shown = command(agent, "message", "a test", {"text": "Save your work."})
    nobody = command(agent, "logout", "a test", {"session": "9"})
    unknown = command(agent, "dance", "a test")
    ids = [shown.pk, nobody.pk, unknown.pk]
    wait_for(lambda: agent.commands.filter(pk__in=ids, done_at__isnull=False).count() == 3, PATIENCE, "all answered")
    assert [each.ok for each in agent.commands.order_by("pk")] == [True, False, False]
    assert here.machine("bob").disk.shown == "Save your work."


def test_a_time_zone_is_set_and_shown(here: World) -> None:
    agent = here.enrolled("bob")
    assert knows(agent, "timezone")
    asked = command(agent, "timezone", "a test", {"iana": "Europe/Berlin", "windows": "W. Europe Standard Time"})
    wait_for(lambda: agent.commands.filter(pk=asked.pk, ok=True).exists(), PATIENCE, "the command is answered")
    (shown,) = here.fleet.act({"action": "state", "name": "bob"})
    assert shown["time_zone"] == load(here.machine("bob").path).time_zone == "Europe/Berlin"


def test_a_reboot_by_command_says_why_and_begins_a_new_boot(here: World) -> None:
    agent = here.enrolled("bob")
    here.told("bob", "agent_start")
    command(agent, "reboot", "a test")
    assert here.told("bob", "agent_stop")[-1].data == {"reason": "restart"}
    wait_for(lambda: len(here.told("bob", "agent_start")) == 2, PATIENCE, "a second boot")


def test_a_key_that_the_broker_forgot_is_replaced(here: World) -> None:
    before = here.enrolled("bob")
    Agent.objects.filter(pk=before.pk).update(key_digest="0" * 64)
    wait_for(lambda: here.enrolled("bob").key_digest != "0" * 64, PATIENCE, "registered again")
    assert here.enrolled("bob").uuid == before.uuid


def test_a_boot_that_the_broker_forgot_is_told_again(here: World) -> None:
    agent = here.enrolled("bob")
    here.told("bob", "agent_start")
    Agent.objects.filter(pk=agent.pk).update(boots=[])
    here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
    here.told("bob", "login")
    assert len(here.told("bob", "agent_start")) == 2


def test_a_machine_that_no_scan_has_seen_yet_waits_loses_nothing_and_is_taken_in_later(
    live_server: LiveServer, tmp_path: Path
) -> None:
    with world(live_server.url, tmp_path, scanned=False) as here:
        place = here.fleet.places[of_user(here.aws, "bob").id]
        here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
        wait_for(lambda: bool(place.agent and not place.agent.approved), PATIENCE, "refused")
        assert not AgentEvent.objects.filter(type="login").exists()
        known(here.center, of_user(here.aws, "bob"))
        here.told("bob", "agent_start", "login")
        assert place.agent is not None
        wait_for(lambda: bool(place.agent and place.agent.approved), PATIENCE, "approved")


def test_a_revoked_token_enrols_nobody(live_server: LiveServer, tmp_path: Path) -> None:
    with world(live_server.url, tmp_path) as here:
        here.enrolled("bob")
        EnrolmentToken.objects.update(revoked_at=now())
        here.becomes("carol", "AVAILABLE")
        place = here.fleet.places[of_user(here.aws, "carol").id]
        wait_for(lambda: bool(place.agent and "bad_token" in place.agent.trouble), PATIENCE, "refused")


def test_what_happens_while_the_broker_is_away_is_told_later(live_server: LiveServer, tmp_path: Path) -> None:
    with world("http://127.0.0.1:9", tmp_path) as here:
        here.fleet.act({"action": "login", "name": "bob", "user": "CORP\\bob"})
        place = here.fleet.places[of_user(here.aws, "bob").id]
        wait_for(lambda: bool(place.agent and "does not answer" in place.agent.trouble), PATIENCE, "trouble is seen")
        here.fleet.close()
        assert [each["type"] for each in load(place.machine.path).spool] == ["agent_start", "login"]
        again = Fleet(
            type(here.fleet.options)(
                **{**vars(here.fleet.options), "broker": type(here.fleet.options.broker)(live_server.url)}
            )
        )
        try:
            again.look()
            assert [each.type for each in here.told("bob", "agent_start", "login")] == ["agent_start", "login"]
        finally:
            again.close()


def test_a_running_machine_lets_a_port_probe_in(live_server: LiveServer, tmp_path: Path) -> None:
    port = free_port()
    with world(live_server.url, tmp_path, rdp_port=port) as here:
        address = here.machine("bob").hardware.address
        assert address.startswith("127.88.")
        with socket.create_connection((address, port), 2) as probe:
            probe.shutdown(socket.SHUT_WR)
            assert probe.recv(1) == b""
        here.becomes("bob", "STOPPED")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), 2)


def test_a_wrong_request_is_answered_in_words(here: World) -> None:
    for ask, words in (
        ({"action": "dance", "name": "bob"}, "Use one of"),
        ({"action": "login", "name": "nobody-there"}, "no desktop nobody-there"),
        ({"action": "login", "name": "shared-win11-01"}, "say who logs in"),
        ({"action": "logout", "name": "bob"}, "Nobody is logged in"),
        ({"action": "login", "name": "carol"}, "AWS says STOPPED"),
    ):
        with pytest.raises(CannotDo, match=words):
            here.fleet.act(ask)
