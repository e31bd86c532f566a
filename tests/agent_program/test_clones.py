"""Two desktops of one image (RULES 1): the disk of the one lies in the other as well."""

import shutil
from dataclasses import replace

from agents.models import Agent, AgentEvent
from agents.program.loop import Agent as Program
from agents.program.settings import Settings
from centers.models import Desktop
from tests import make
from tests.agent_program.fake import FakeMachine, alice
from tests.agent_program.served import Served


def rounds(program: Program, machine: FakeMachine, count: int) -> None:
    """Somebody comes and goes, and all of it is told."""
    for _ in range(count):
        machine.there = [] if machine.there else [alice(user=f"{machine.hostname}\\x")]
        program.look()
        while program.teller.turn() == 0.0:
            continue
        assert program.teller.trouble == ""


def test_clones_of_a_registered_machine_have_events_of_their_own(
    broker: Served, settings_here: Settings, machine: FakeMachine, desktop: Desktop
) -> None:
    original = Program(settings_here, machine)
    rounds(original, machine, 1)
    original.spool.add(original.spool.event("lock", session="2", user="x"))  # not told yet when the image is made
    other = make.desktop(desktop.center)
    theirs = replace(settings_here, state=settings_here.state.with_name("clone"))
    shutil.copytree(settings_here.state, theirs.state)
    twin = FakeMachine(hostname=other.computer_name, workspace_id=other.ref or "", fingerprint="print-2", boot_id="b2")
    clone = Program(theirs, twin)
    for _ in range(5):
        rounds(original, machine, 1)
        rounds(clone, twin, 1)
    assert broker.statuses == {201, 202}
    agents = {each.desktop_id: each for each in Agent.objects.all()}
    assert set(agents) == {desktop.pk, other.pk}
    kinds = AgentEvent.objects.filter(type__in=["login", "logout", "lock"]).order_by("pk")
    assert [each.type for each in kinds.filter(agent=agents[other.pk])] == [
        "login",
        "logout",
        "login",
        "logout",
        "login",
    ]
    assert [each.type for each in kinds.filter(agent=agents[desktop.pk])] == [
        "login", "lock", "logout", "login", "logout", "login", "logout",
    ]  # fmt: skip


def test_an_image_that_was_prepared_registers_anew(
    broker: Served, settings_here: Settings, machine: FakeMachine, desktop: Desktop
) -> None:
    original = Program(settings_here, machine)
    rounds(original, machine, 1)
    original.state.wipe()
    again = Program(settings_here, machine)
    rounds(again, machine, 1)
    assert again.state.uuid
    assert Agent.objects.filter(desktop=desktop).count() == 1
