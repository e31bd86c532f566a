"""A gateway's parts in one process, a clock that stands still, and a broker's key: the stage of these tests."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateways.program.gate import Gate
from gateways.program.house import House
from gateways.program.ports import Ports
from gateways.program.registry import Limits, Registry
from gateways.program.settings import load
from gateways.program.state import State
from gateways.wire import Grant, Opening, destination, make_token

UID = "6f0f8a2e-0000-4000-8000-000000000001"
ORIGIN = "https://desk.example.test"
CLIENT = "203.0.113.7"


@dataclass
class Clock:
    """Moves when told to."""

    at: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


def opening(**more: Any) -> Opening:
    """One for a desktop's RDP, as a broker would ask for it."""
    said = {
        "id": secrets.token_urlsafe(16), "protocol": "rdp", "host": "10.0.0.4", "port": 3389, "user": "user:5",
        "seconds": 60, "origin": ORIGIN, "client_ip": CLIENT,
    }  # fmt: skip
    return Opening.from_json({**said, **more})


async def always(_id: str, _client: str) -> bool:
    """A broker that redeems everything."""
    return True


@dataclass
class World:
    """Registry and gate of one gateway, already known to a broker."""

    folder: Path
    limits: Limits = Limits()
    redeem: Callable[[str, str], Awaitable[bool]] = always
    clock: Clock = field(default_factory=Clock)
    broker: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def __post_init__(self) -> None:
        self.state = State(self.folder / "gateway")
        self.state.learn(uid=UID, broker_key=self.broker.public_key())
        self.registry = Registry(self.limits, self.clock)
        self.gate = Gate(self.state, self.registry, self.redeem, self.clock)

    def token(self, opening: Opening, **more: Any) -> str:
        """A token as the broker makes it for this opening; `more` replaces fields of the grant."""
        said: dict[str, Any] = {
            "id": opening.id, "audience": (UID,), "user": opening.user, "protocol": opening.protocol,
            "destination": destination(opening.host, opening.port), "redeem": opening.redeem,
        }  # fmt: skip
        return make_token(self.broker, Grant(**{**said, **more}), at=self.clock())


def house_of(world: World, *arguments: str) -> House:
    """What handlers are given, with these settings; no port is opened."""
    settings = load(["--broker", "http://127.0.0.1:1", "--data", str(world.folder), *arguments])
    ports = Ports(settings.first_port, settings.last_port, "127.0.0.1", world.clock)
    return House(settings, world.state, world.clock, world.registry, world.gate, ports)
