"""A machine with an agent, as the endpoint's tests need it: real requests, no agent program."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.test import Client

from agents import keys
from agents.models import Agent, EnrolmentToken
from broker.connect import events
from broker.core.clock import now
from centers.models import Center, Desktop
from tests.services import wait_for


def drained() -> None:
    """Act on all news: those of an agent whose row another call holds just now are passed over at first."""
    wait_for(lambda: not events.drain() and not Agent.objects.filter(waiting=True).exists(), 20, "all news are handled")


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
    door: Callable[..., Any] = send

    def clock(self) -> datetime:
        return now() - self.slow

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "token": self.token, "uuid": self.uuid, "fingerprint": self.fingerprint, "boot_id": self.boot,
            "hostname": self.desktop.computer_name, "workspace_id": self.desktop.ref, "version": "1",
            "addresses": [self.desktop.address], "sent_at": self.clock().isoformat(), **more,
        }  # fmt: skip

    def register(self, **more: Any) -> Any:
        answer = self.door("POST", "register", self.body(**more))
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
        return self.door("POST", "events", body, key or self.key)

    def tell(self, kind: str, **more: Any) -> Any:
        answer = self.send(self.event(kind, **more))
        assert answer.status_code == 202, answer.content
        drained()
        return answer.json()

    @property
    def row(self) -> Agent:
        return Agent.objects.get(uuid=str(self.uuid))
