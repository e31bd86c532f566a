"""The signed wake call: to the desktop's own address, patient with nobody, believed only by the agent (DESIGN 8)."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from agents import waking
from agents.keys import wake_signature
from agents.models import Agent
from agents.services import command
from broker.core import jobs
from broker.core.clock import now
from broker.core.models import Job, LogEntry
from broker.handlers import HANDLERS
from centers.models import Desktop
from tests import make
from tests.agents.machine import Machine

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Handler = Callable[[socket.socket, bytes], None]


@contextmanager
def peer(handle: Handler) -> Iterator[int]:
    """Something that listens where an agent should; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    handle(connection, connection.recv(65536))
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.close()
        thread.join(5)


def saying(answer: bytes) -> Handler:
    return lambda connection, _: connection.sendall(answer)


@pytest.fixture
def agent(machine: Machine, desktop: Desktop) -> Agent:
    Desktop.objects.filter(pk=desktop.pk).update(address="127.0.0.1")
    return machine.row


def woken(agent: Agent, port: int) -> waking.Reached:
    Agent.objects.filter(pk=agent.pk).update(port=port)
    said = waking.wake(Agent.objects.select_related("desktop").get(pk=agent.pk))
    agent.refresh_from_db()
    assert (agent.reachable, agent.check_detail) == (said.ok, said.detail)
    assert agent.checked_at == now()
    return said


def test_the_call_is_signed_with_the_digest_of_the_agents_key(agent: Agent) -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket, request: bytes) -> None:
        seen.append(request)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with peer(handle) as port:
        said = woken(agent, port)
    assert (said.ok, said.detail) == (True, f"The agent at 127.0.0.1:{port} answered.")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /wake HTTP/1.1\r\n")
    told = json.loads(body)
    assert told["signature"] == wake_signature(agent.key_digest, told["time"], told["nonce"])
    assert told["time"] == int(now().timestamp())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refused our signature"),
        (b"HTTP/1.0 500 Oh\r\n\r\n", "said 500"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no agent"),
        (b"\x00\xff" * 4000, "is no agent"),
        (b"", "is no agent"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n", "said 302"),
    ],
)
def test_what_answers_otherwise_is_told_in_words(agent: Agent, answer: bytes, words: str) -> None:
    with peer(saying(answer)) as port:
        said = woken(agent, port)
    assert not said.ok
    assert words in said.detail


def test_who_drips_or_refuses_costs_no_more_than_the_limit(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "WITHIN", 0.3)
    monkeypatch.setattr(time, "monotonic", time.perf_counter)  # the clock stands still

    def drip(connection: socket.socket, _: bytes) -> None:
        for _turn in range(20):
            connection.sendall(b"H")
            time.sleep(0.05)

    begun = time.perf_counter()
    with peer(drip) as port:
        assert "does not answer within" in woken(agent, port).detail
    assert time.perf_counter() - begun < 3
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert "refused" in woken(agent, closed.getsockname()[1]).detail


def test_an_address_that_only_the_agent_said_is_never_called(agent: Agent, desktop: Desktop) -> None:
    Desktop.objects.filter(pk=desktop.pk).update(address="")
    Agent.objects.filter(pk=agent.pk).update(addresses=["127.0.0.1"])
    said = woken(agent, 9)
    assert (said.ok, said.detail) == (False, "Its desktop has no address.")


def queued(agent: Agent, **fields: Any) -> int:
    """How many wake jobs a new command brings."""
    Job.objects.filter(kind="check_status").delete()
    Agent.objects.filter(pk=agent.pk).update(**fields)
    command(Agent.objects.select_related("desktop").get(pk=agent.pk), "lock", "a test")
    return Job.objects.filter(kind="check_status").count()


def test_a_command_wakes_only_an_agent_whose_port_answered_and_whose_poll_is_not_held(agent: Agent) -> None:
    assert queued(agent, reachable=None) == 0
    assert queued(agent, reachable=False) == 0
    assert queued(agent, reachable=True, polling_until=now() + timedelta(seconds=9)) == 0
    assert queued(agent, reachable=True, polling_until=now() - timedelta(seconds=9)) == 1


def test_the_job_wakes_it_and_is_moot_where_the_command_is_fetched(agent: Agent, machine: Machine) -> None:
    with peer(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        assert queued(agent, reachable=True, port=port) == 1
        jobs.work(HANDLERS)
    job = Job.objects.get(kind="check_status")
    assert (job.state, job.message) == ("finished", f"The agent at 127.0.0.1:{port} answered.")
    assert queued(agent, reachable=True) == 1
    assert machine.door("GET", "commands", {}, machine.key).json()["commands"]
    jobs.work(HANDLERS)
    assert Job.objects.get(kind="check_status").state == "cancelled"


def test_an_administrator_tests_rotates_and_revokes(
    client: Client, agent: Agent, machine: Machine, desktop: Desktop
) -> None:
    admin = make.admin_client(client)
    with peer(saying(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        Agent.objects.filter(pk=agent.pk).update(port=port)
        admin.post(f"/resources/desktops/{desktop.pk}/test_agent/")
    page = admin.get(f"/resources/desktops/{desktop.pk}/").content.decode()
    assert f"The agent at 127.0.0.1:{port} answered." in page
    old = machine.key
    admin.post(f"/resources/desktops/{desktop.pk}/rotate_key/", {"confirmed": "yes"})
    assert machine.door("GET", "commands", {}, old).json()["error"] == "bad_key"
    assert machine.register().json()["desktop"] == str(desktop)
    admin.post(f"/resources/desktops/{desktop.pk}/revoke_agent/", {"confirmed": "yes"})
    assert machine.door("GET", "commands", {}, machine.key).json()["error"] == "revoked"
    machine.uuid, machine.fingerprint = None, "smbios-other"
    again = machine.register().json()
    assert (again["desktop"], again["approved"]) == (None, False)
    waiting = admin.get("/resources/desktops/waiting/").content.decode()
    assert f"An administrator revoked the agent of {desktop}." in waiting
    admin.post(
        f"/resources/desktops/waiting/{machine.row.pk}/",
        {"decision": "approve", f"{machine.row.pk}-desktop": desktop.pk},
    )
    assert machine.row.desktop == desktop
    events = set(LogEntry.objects.filter(event__startswith="agent.").values_list("event", flat=True))
    assert {"agent.tested", "agent.key_rotated", "agent.revoked", "agent.approved"} <= events


def test_a_machine_that_was_rejected_does_not_wait_again(client: Client, machine: Machine, desktop: Desktop) -> None:
    admin = make.admin_client(client)
    other = Machine(machine.token, desktop, fingerprint="another")
    assert not other.register().json()["approved"]
    page = admin.post(f"/resources/desktops/waiting/{other.row.pk}/", {"decision": "reject"}, follow=True)
    assert "is rejected" in page.content.decode()
    assert other.door("GET", "commands", {}, other.key).json()["error"] == "revoked"
    assert (other.register().status_code, other.register().json()["error"]) == (401, "revoked")
    assert "No agent is waiting" in admin.get("/resources/desktops/waiting/").content.decode()
    other.uuid = None  # its state was wiped
    assert other.register().status_code == 201
    assert machine.register().json()["approved"]
