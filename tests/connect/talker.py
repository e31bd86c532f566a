"""An agent that a test speaks for, and an AWS account that says yes."""

import json
from collections.abc import Sequence
from typing import Any

from django.test import Client

from agents import keys
from agents.models import EnrolmentToken
from broker.connect import events
from broker.core.clock import now
from centers.models import Center, Desktop
from centers.providers.base import Outcome, PowerOp


class Account:
    """An AWS account that says yes and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def power(self, op: PowerOp, refs: list[str]) -> list[Outcome]:
        self.asked += [(op.value, ref) for ref in refs]
        return [Outcome(ref, True) for ref in refs]


class Talker:
    """An agent, by its own protocol."""

    def __init__(self, center: Center, desktop: Desktop, commands: Sequence[str] = ()) -> None:
        token = keys.new_key()
        EnrolmentToken.objects.create(center=center, digest=keys.key_hash(token), hint=token[:4], created_at=now())
        self.client, self.seq, self.boot = Client(), 0, "boot-1"
        body: dict[str, Any] = {
            "token": token,
            "boot_id": self.boot,
            "hostname": desktop.computer_name,
            "workspace_id": desktop.ref,
        }
        body |= {"commands": list(commands)} if commands else {}  # an old agent does not say what it knows
        answer = self.post("register", body)
        assert answer.status_code == 201, answer.content
        self.key = answer.json()["key"]

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.post(f"/agent/v1/{path}", json.dumps(body), "application/json", headers=headers)

    def tell(self, kind: str, user: str = "CORP\\alice", session: str = "2", **data: Any) -> Any:
        self.seq += 1
        at = now().isoformat()
        event = {"seq": self.seq, "type": kind, "user": user, "session": session, "at": at, "data": data}
        body = {"boot_id": self.boot, "sent_at": at, "events": [event]}
        answer = self.post("events", body, Authorization=f"Bearer {self.key}")
        assert answer.status_code == 202, answer.content
        events.drain()
        return answer.json()

    def beat(self, *sessions: dict[str, Any]) -> None:
        """A heartbeat with the sessions that are there."""
        self.tell("heartbeat", user="", session="", sessions=list(sessions))

    def commands(self) -> list[dict[str, Any]]:
        """What we ask of it, fetched by a poll; the newest last."""
        answer = self.client.get("/agent/v1/commands", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.content
        found: list[dict[str, Any]] = answer.json()["commands"]
        return found

    def answer(self, number: int, detail: str = "") -> None:
        """The answer to a command."""
        answer = self.post(f"commands/{number}", {"ok": True, "detail": detail}, Authorization=f"Bearer {self.key}")
        assert answer.status_code == 200, answer.content
