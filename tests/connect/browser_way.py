"""Alice, her running desktop, a gateway that does as it is told, and a protocol plan that names it first."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from authservers.models import User
from broker.connect.models import Launch
from centers.models import Desktop
from gateways.models import Gateway
from plans.models import ProtocolChoice, ProtocolPlan
from policies.models import Policy
from pools.models import Assignment
from tests import make
from tests.gateways.scripted import Scripted

SECRET = "Tr0ub4dor&3-unusual"


@dataclass
class Site:
    """What the tests need at hand."""

    gateway: Scripted
    edge: Gateway
    alice: User
    desktop: Desktop
    held: Assignment
    plan: ProtocolPlan
    policy: Policy
    browser: Client = field(default_factory=Client)

    def choose(self, protocol: str, **fields: Any) -> ProtocolChoice:
        """A protocol of the web client in the plan."""
        where: dict[str, Any] = {"plan": self.plan, "client": "web", "protocol": protocol}
        return ProtocolChoice.objects.update_or_create(**where, defaults=fields)[0]

    def sign_in(self) -> None:
        """By the form, as people do."""
        assert self.browser.post("/", {"login": "alice", "password": SECRET}).status_code == 302

    def connect(self) -> str:
        """Press Connect; where it leads."""
        answer = self.browser.post(f"/desktops/{self.desktop.pk}/connect/")
        assert answer.status_code == 303
        return str(answer.headers["Location"])

    def launch(self) -> Launch:
        """The newest one."""
        return Launch.objects.latest("pk")

    def token(self, **said: Any) -> Any:
        """What the page's request for a token is answered."""
        return self.browser.post(f"/launches/{self.launch().pk}/token/", {"width": 1280, "height": 800, **said})

    def launch_port(self) -> int:
        """Where the desktop listens by the newest launch."""
        return self.launch().port

    def opening(self) -> dict[str, Any]:
        """What the gateway was last told to open."""
        return self.gateway.told("open")[-1]


@contextmanager
def site(gateway: Scripted, edge: Gateway) -> Iterator[Site]:
    """The desktop listens at its RDP port, as far as a connect goes."""
    make.defaults()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        center = make.center()
        plan = ProtocolPlan.objects.create(name="In the browser")
        alice = make.user("alice", netbios="CORP")
        alice.set_password(SECRET)
        alice.save()
        desktop = make.desktop(center, address="127.0.0.1", display_name="Design 7")
        policy = make.policy(make.pool(center), plans={"protocol_plan": plan})
        make.grant(alice, policy=policy)
        held = make.assignment(alice, desktop)
        made = Site(gateway, edge, alice, desktop, held, plan, policy)
        made.choose("html5_rdp", priority=1, gateway=edge, port=port)
        made.choose("rdp", priority=2, port=port, template="screen mode id:i:2\n")
        made.sign_in()
        yield made
