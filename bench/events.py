"""Agent events accepted by one process: one to a POST, and ten (CONTRACTS 4.2). The drain is not in the figure."""

import json
import time
from typing import Any

from django.test import Client

from agents import keys
from agents.models import AgentEvent, EnrolmentToken
from broker.connect import events
from broker.core.clock import now
from tests import make

EVENTS = 1_000


def agent() -> dict[str, str]:
    """A registered agent's headers."""
    center = make.center()
    machine = make.desktop(center)
    token = keys.new_key()
    EnrolmentToken.objects.create(center=center, digest=keys.key_hash(token), hint=token[:4], created_at=now())
    body = {"token": token, "boot_id": "b", "hostname": machine.computer_name, "workspace_id": machine.ref}
    answer = Client().post("/agent/v1/register", json.dumps(body), "application/json")
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def accepted(size: int) -> float:
    """Events a second in POSTs of this size."""
    client, headers = Client(), agent()
    begun = time.perf_counter()
    for start in range(0, EVENTS, size):
        batch: list[dict[str, Any]] = [
            {"seq": number, "type": "lock" if number % 2 else "unlock", "user": "CORP\\x", "session": "1"}
            for number in range(start, start + size)
        ]
        body = json.dumps({"boot_id": "b", "events": batch})
        answer = client.post("/agent/v1/events", body, "application/json", headers=headers)
        assert answer.status_code == 202, answer.content
    return EVENTS / (time.perf_counter() - begun)


def run() -> None:
    """Single events, tens, and the drain."""
    single = accepted(1)
    print(f"one to a POST                    {single:8.0f} events/s")
    tens = accepted(10)
    print(f"ten to a POST                    {tens:8.0f} events/s, {tens / single:.1f} x")
    begun = time.perf_counter()
    events.drain()
    count = AgentEvent.objects.filter(handled_at__isnull=False).count()
    print(f"drained                          {count / (time.perf_counter() - begun):8.0f} events/s")
