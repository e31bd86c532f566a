"""Bytes through a forwarded port against direct TCP on the loopback, and bytes per CPU-second against haproxy.

Nine interleaved rounds: direct, ours by each engine, haproxy; by one connection, and by four at once. What is sent goes
from the desktop to the client, as a picture does. A CPU-second is one of the forwarder's own, by the kernel's clock of
nanoseconds. On a busy machine all figures but the last are worth little.
"""

import contextlib
import multiprocessing
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from bench import budgets
from tests.gateway_program.ports.forwarder import HOME, Forwarder, forwarder
from tests.ports import free_port
from tests.services import wait_for

BYTES, ROUNDS, MANY, IDLE = 512 << 20, 9, 4, 1_000
AT_LEAST_DIRECT, AT_LEAST_HAPROXY, AT_MOST_IDLE = 0.70, 2.0, 10_000
CHUNK = bytes(1 << 18)
NOTHING = b"0"
HAPROXY = """
global
    nbthread 1
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option splice-auto
listen it
    bind 127.0.0.1:{port}
    server it 127.0.0.1:{desktop}
"""


@dataclass(frozen=True)
class Way:
    """A way to the desktop, by a port or by one for each connection; `pid` is who passes the bytes on, 0: nobody."""

    name: str
    ports: tuple[int, ...]
    pid: int = 0


def serve(listener: socket.socket) -> None:
    """A desktop: pours upon everybody as many chunks as they ask for; upon who asks for none, for ever nothing."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=pour, args=[client], daemon=True).start()


def pour(client: socket.socket) -> None:
    """One of them."""
    with client:
        asked = client.recv(8)
        if asked == NOTHING:
            threading.Event().wait()
        for _ in range(int(asked or 0)):
            client.sendall(CHUNK)


@contextmanager
def desktop() -> Iterator[int]:
    """Its port; it is a process of its own."""
    with socket.create_server((HOME, 0), backlog=IDLE) as listener:
        process = multiprocessing.get_context("fork").Process(target=serve, args=[listener], daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()


@contextmanager
def haproxy(port: int) -> Iterator[list[Way]]:
    """A way through haproxy; none, and it is said, where it is not installed."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        budgets.judge(False, "haproxy is not installed: no figure against it (apt-get install haproxy)")
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        ours, settings = free_port(), Path(folder) / "haproxy.cfg"
        settings.write_text(HAPROXY.format(port=ours, desktop=port))
        with subprocess.Popen([program, "-db", "-f", settings], stderr=subprocess.DEVNULL) as child:
            try:
                wait_for(lambda: answers(ours), 10, "haproxy listens")
                yield [Way("haproxy", (ours,), child.pid)]
            finally:
                child.kill()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex((HOME, port)) == 0


def cpu_seconds(pid: int) -> float:
    """What a process of one thread has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 if pid else 0.0


def poured(way: Way, connections: int) -> tuple[float, float]:
    """MB a second through so many connections, and MB per CPU-second of who passes them on."""
    room, came, asked = bytearray(1 << 18), 0, b"%8d" % (BYTES // len(CHUNK) // connections)
    open_ones = [socket.create_connection((HOME, port)) for port in islice(cycle(way.ports), connections)]
    with selectors.DefaultSelector() as clients, contextlib.ExitStack() as stack:
        used, begun = cpu_seconds(way.pid), time.perf_counter()
        for each in open_ones:
            stack.enter_context(each)
            clients.register(each, selectors.EVENT_READ, each)
            each.sendall(asked)
        while clients.get_map():
            for key, _ in clients.select():
                came += (count := key.data.recv_into(room))
                if not count:
                    clients.unregister(key.data)
        taken = time.perf_counter() - begun
    assert came == BYTES, f"{way.name}: {came} of {BYTES} bytes came"
    used = cpu_seconds(way.pid) - used
    return BYTES / 1e6 / taken, BYTES / 1e6 / used if used else 0.0


def speeds(ways: list[Way], connections: int) -> None:
    """All ways by turns, round after round."""
    told: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for way in ways:
            told[way.name].append(poured(way, connections))
    print(f"connections at once {connections:13}")
    per_cpu = {name: statistics.median(each for _, each in found) for name, found in told.items()}
    for name, found in told.items():
        pairs = [mine / direct for (mine, _), (direct, _) in zip(found, told["direct"], strict=True)]
        speed, share = statistics.median(each for each, _ in found), statistics.median(pairs)
        print(f"{name:10} {speed:8.0f} MB/s {per_cpu[name]:8.0f} MB per CPU-second {share:6.2f} x direct")
        if name == "splice":
            budgets.at_least(AT_LEAST_DIRECT, f"speed, {connections} at once", share, "x direct")
    if "haproxy" in per_cpu:
        better = per_cpu["splice"] / per_cpu["haproxy"]
        budgets.at_least(AT_LEAST_HAPROXY, f"bytes per CPU-second, {connections} at once", better, "x haproxy")


def idle(ours: Forwarder, port: int, engine: str) -> None:
    """What one more session weighs that is open, was used and is silent."""
    ours.open(10, port, engine)  # what the first ones bring in once
    before = ours.memory()
    clients = [socket.create_connection((HOME, each)) for each in ours.open(IDLE, port, engine)]
    for client in clients:
        client.sendall(NOTHING)
    wait_for(lambda: ours.used() >= IDLE, 20, "all are used")
    each = (ours.memory() - before) / IDLE
    for client in clients:
        client.close()
    print(f"{IDLE} idle sessions, {engine:8}    {each / 1000:8.1f} kB each")
    if engine == "splice":
        budgets.at_most(AT_MOST_IDLE, f"one of {IDLE} idle sessions", each, "bytes")


def run() -> None:
    """The figures."""
    with desktop() as port, forwarder() as ours, haproxy(port) as other:
        engines = [Way(name, tuple(ours.open(MANY, port, name)), ours.child.pid) for name in ("splice", "streams")]
        for connections in (1, MANY):
            speeds([Way("direct", (port,)), *engines, *other], connections)
    for engine in ("splice", "streams"):
        with desktop() as port, forwarder() as ours:
            idle(ours, port, engine)
