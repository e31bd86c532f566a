"""The agent endpoint beside a busy worker: events a second, 10,000 held polls (CONTRACTS 4.2).

Client, endpoint, worker and database share this machine's cores, so the rates are pessimistic.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from agents.keys import key_hash
from agents.models import Agent, AgentEvent
from bench import budgets
from broker.connect import events
from broker.core.clock import now
from broker.embedded.programs import fetched
from centers.models import Desktop
from tests import make, services
from tests.ports import free_port

AGENTS = int(os.environ.get("AGENTS", "10000"))
TALKERS = 400
SECONDS = 8
AT_LEAST = {10: 1_000, 1: 250}  # events a second, by how many come in one POST


def fleet(count: int, folder: Path) -> list[str]:
    """Agents with desktops; their keys."""
    center, moment = make.center(), now()
    rows = Desktop.objects.bulk_create(
        [Desktop(center=center, ref=f"ws-{n:09d}", name=f"D{n}", first_seen_at=moment) for n in range(count)]
    )
    keys = [uuid.uuid4().hex * 2 for _ in rows]
    Agent.objects.bulk_create(
        Agent(
            uuid=uuid.uuid4(), key_digest=key_hash(key), center=center, desktop=row, approved=True, boot_id="b",
            boots=["b"], registered_at=moment, last_seen=moment,
        )
        for row, key in zip(rows, keys, strict=True)
    )  # fmt: skip
    (folder / "keys").write_text("\n".join(keys))
    (folder / "talkers").write_text("\n".join(keys[:TALKERS]))
    return keys


def environment() -> dict[str, str]:
    """That of the product's processes, on the benchmark's database."""
    parts = urlsplit(os.environ["USHER_DATABASE_URL"])
    database = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    return {**os.environ, "USHER_DATABASE_URL": database, "DATA": "/nonexistent"}


@contextmanager
def process(name: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the product, ended with the block."""
    with (services.FOLDER / "log" / f"{name}.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", *words], env=environment(), stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.terminate()
        child.wait(20)


@contextmanager
def worker() -> Iterator[None]:
    """A worker and its beat, as the launcher starts them."""
    celery = ("celery", "-A", "broker.celery")
    words = "worker --loglevel WARNING --without-gossip --without-mingle --without-heartbeat --pool threads -c 4"
    # Never /dev/null: Celery deletes a schedule that it cannot read, and root can delete that one.
    beat = ("beat", "--loglevel", "WARNING", "--pidfile", "", "--schedule", str(services.FOLDER / "beat"))
    with process("worker", *celery, *words.split()), process("beat", *celery, *beat):
        yield


def client(port: int, keys: str, *words: str) -> subprocess.Popen[str]:
    """The other process: agents."""
    command = [sys.executable, "-m", "bench.client", str(port), str(services.FOLDER / keys), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(child: "subprocess.Popen[str]") -> dict[str, Any]:
    """Its next line."""
    assert child.stdout is not None
    return dict(json.loads(child.stdout.readline()))


def rss(pid: int) -> float:
    """Megabytes of a process."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def posts(port: int, pid: int, size: int, connections: int) -> None:
    """Batches as fast as they are taken; the worker drains them meanwhile."""
    spent = cpu(pid)
    before = AgentEvent.objects.exclude(handled_at=None).count()
    with client(port, "talkers", "posts", str(SECONDS), str(size), str(connections)) as child:
        said = told(child)
    spent = (cpu(pid) - spent) * 1000 / max(said["posts"], 1)
    drained = AgentEvent.objects.exclude(handled_at=None).count() - before
    rate = said["a_second"] * size
    print(
        f"{size:3d} to a POST, worker busy       {rate:8.0f} events/s, {said['a_second']:6.0f} POSTs/s, "
        f"p95 {said['p95'] * 1000:4.0f} ms, {spent:.2f} ms CPU each; "
        f"drained meanwhile {drained / SECONDS:5.0f}/s {said['other'] or ''}"
    )
    budgets.at_least(AT_LEAST[size], f"accepted in POSTs of {size}", rate, "events/s")
    events.drain()
    AgentEvent.objects.all().delete()


def polls(port: int, pid: int) -> None:
    """10,000 at once."""
    before = rss(pid)
    with client(port, "keys", "polls", "55") as child:
        opened = told(child)
        services.wait_for(lambda: f"usher_agent_polls_held {float(AGENTS)}" in figures(port), 45, "all polls are held")
        held = rss(pid)
        print(
            f"{AGENTS:,} held polls               {held:8.0f} MB RSS ({before:.0f} before; "
            f"{(held - before) * 1024 / AGENTS:.1f} kB each), opened in {opened['seconds']:.1f} s"
        )
        print(f"  answered in time                 {told(child)}")


def figures(port: int) -> str:
    """/metrics of the endpoint."""
    return (fetched(f"http://127.0.0.1:{port}/metrics") or b"").decode()


def run() -> None:
    """Events, then polls."""
    fleet(AGENTS, services.FOLDER)
    port = free_port()
    with process("endpoint", "broker.asgi", "--port", str(port)) as child:
        services.wait_for(lambda: fetched(f"http://127.0.0.1:{port}/healthz") is not None, 20, "the endpoint listens")
        polls(port, child.pid)
        with worker():
            posts(port, child.pid, 10, 8)
            posts(port, child.pid, 1, 8)
