"""What sessions weigh that are open and silent: a thousand of them in one process (CONTRACTS 4.7, DESIGN 13)."""

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests import ports
from tests.gateway_program.ports.forwarder import HOME, forwarder
from tests.services import wait_for

pytestmark = pytest.mark.slow
MANY = 1_000


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process holds the other two ends of all of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_sessions_cost_ten_kilobytes_each_and_three_files(many_files: None) -> None:
    with ExitStack() as stack:
        desktop = stack.enter_context(socket.create_server((HOME, 0), backlog=MANY))
        ours = stack.enter_context(forwarder(ports.MANY))
        ours.open(10, desktop.getsockname()[1])  # what the first ones bring in once
        before, files = ours.memory(), open_files(ours.child.pid)
        served: list[socket.socket] = []
        accepting = threading.Thread(target=take_in, args=[desktop, served])
        accepting.start()
        clients = [
            stack.enter_context(closing(socket.create_connection((HOME, port), 5)))
            for port in ours.open(MANY, desktop.getsockname()[1])
        ]
        for client in clients:
            client.sendall(b"hello")
        wait_for(lambda: ours.used() == MANY, 60, "all are used")
        accepting.join(60)
        assert (ours.memory() - before) / MANY <= 10_000
        assert open_files(ours.child.pid) - files <= 3 * MANY + 4  # a listener, two ends, and two spare pipes for all
        assert served[-1].recv(5) == b"hello"
        for each in served:
            each.close()


def take_in(desktop: socket.socket, served: list[socket.socket]) -> None:
    """Everybody."""
    while len(served) < MANY:
        served.append(desktop.accept()[0])


def open_files(pid: int) -> int:
    """Of that process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
