"""What a gateway tells the broker, over HTTP as it does: signed, with everything that a test wants changed."""

import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from gateways.models import Gateway
from gateways.wire import BROKER, Call, sign_call
from tests.gateways.scripted import STARTED_AT, Scripted

PREFIX = "/gateway/v1/"


def status(**changes: Any) -> dict[str, Any]:
    """A gateway without sessions."""
    return {
        "version": "1.2", "started_at": STARTED_AT, "draining": False, "ports_free": 9_999,
        "certificate": "", "sessions": [], "closed": [], "refused": [], **changes,
    }  # fmt: skip


def session(token: str, **changes: Any) -> dict[str, Any]:
    """A session that somebody uses."""
    return {
        "id": token, "used_at": time.time(), "client_ip": "192.0.2.7", "port": 0, "bytes_in": 10, "bytes_out": 200,
        "connections": 1, "certificate": "", **changes,
    }  # fmt: skip


def ended(token: str, **changes: Any) -> dict[str, Any]:
    """One that has ended."""
    return {
        **session(token), "closed_at": time.time(), "reason": "The browser went away.", "by": "user", "connections": 0,
        **changes,
    }  # fmt: skip


class Voice:
    """Speaks for a gateway, through the front door."""

    def __init__(self, gateway: Gateway, key: Ed25519PrivateKey) -> None:
        self.uid, self.key, self.client = str(gateway.uid), key, Client()

    def signed(self, name: str, content: bytes, at: float | None = None) -> str:
        """The Authorization header of a call."""
        return sign_call(self.key, self.uid, BROKER, Call("POST", PREFIX + name, content), at=at or time.time())

    def post(self, name: str, told: Any, at: float | None = None, header: str = "") -> Any:
        """Call; the answer."""
        content = told if isinstance(told, bytes) else json.dumps(told).encode()
        authorization = header or self.signed(name, content, at)
        return self.client.post(PREFIX + name, content, "application/json", HTTP_AUTHORIZATION=authorization)

    def beats(self, at: float | None = None, **changes: Any) -> dict[str, Any]:
        """A heartbeat that is taken; what was answered."""
        response = self.post("heartbeat", status(**changes), at)
        assert response.status_code == 200, response.content
        answered: dict[str, Any] = response.json()
        return answered


def voice_of(gateway: Gateway, scripted: Scripted) -> Voice:
    """A registered scripted gateway's."""
    return Voice(gateway, scripted.key)
