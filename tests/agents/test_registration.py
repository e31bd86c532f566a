"""Who a machine is: clones, second agents, approval, the broker's CA (RULES 1-4, CONTRACTS 3)."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from agents import keys, registration, services
from agents.models import Agent, AgentEvent
from broker.connect import events
from broker.connect.models import DesktopSession
from broker.core.clock import now
from broker.core.models import LogEntry
from broker.embedded import tls
from broker.resources.enrolment import issue
from centers.models import Center, Desktop
from tests import make
from tests.agents.machine import Machine, refused, send, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


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


def test_what_an_agent_can_do_is_what_it_said_last(machine: Machine) -> None:
    assert services.knows(machine.row, "revoke")
    assert not services.knows(machine.row, "timezone")  # an old one: it did not say
    machine.register(commands=["logout", "timezone"])
    assert services.knows(machine.row, "timezone")
    assert not services.knows(machine.row, "revoke")
    machine.register()
    assert not services.knows(machine.row, "timezone")


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
    early.register(os="Debian", rdp_cert_sha256="ab" * 32)
    assert not early.said["approved"]
    Desktop.objects.filter(pk=early.desktop.pk).update(
        ref="ws-early00001", computer_name=early.desktop.computer_name, sighted_at=now()
    )
    assert registration.settle_waiting(center) == 1
    assert (early.row.approved, early.row.desktop) == (True, early.desktop)
    early.desktop.refresh_from_db()
    assert (early.desktop.os, early.desktop.rdp_cert_sha256) == ("Debian", "ab" * 32)
    late = Machine(early.token, early.desktop, fingerprint="another")
    late.register()
    assert registration.settle_waiting(center) == 0


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
    Desktop.objects.filter(pk=desktop.pk).update(power="running", sighted_at=now() - timedelta(days=1))
    assert registration.settle_waiting(center) == 0
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
    assert not registration.settled(other.row, desktop)
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


def test_a_rebuilt_desktop_is_enrolled_anew_by_its_baked_token(machine: Machine, desktop: Desktop, clock: Any) -> None:
    """A rebuild voids the key, and gives an address that nobody knows before the next scan (RULES 3)."""
    clock.shift(60)
    services.forget(desktop, now(), "rebuilt")
    assert refused(send("GET", "commands", {}, machine.key)) == (401, "revoked")
    Desktop.objects.filter(pk=desktop.pk).update(address="")
    again = Machine(machine.token, desktop, fingerprint="smbios-after")
    said = again.register(workspace_id="", addresses=["10.9.9.9"]).json()
    assert (said["desktop"], said["approved"]) == (None, False)
    assert again.row.why.startswith("No desktop of")
    Desktop.objects.filter(pk=desktop.pk).update(address="10.9.9.9")
    assert registration.settle_waiting(desktop.center) == 1
    assert (again.row.desktop, again.row.why) == (desktop, "")


def test_an_agent_that_registered_since_the_rebuild_began_stays(machine: Machine, desktop: Desktop, clock: Any) -> None:
    services.forget(desktop, now(), "rebuilt")
    assert machine.row.desktop == desktop


def test_why_a_machine_waits_is_told_in_words(machine: Machine, desktop: Desktop) -> None:
    other = Machine(machine.token, desktop, fingerprint="other")
    other.register()
    assert other.row.why == f"Another machine is the agent of {desktop}, and was heard just now."
    lost = Machine(machine.token, desktop, fingerprint="lost")
    lost.register(workspace_id="ws-000000000")
    assert lost.row.why == f"No desktop of {desktop.center}: ws-000000000 is not in its last scan."
