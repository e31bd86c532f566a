"""What Test Login says of the protocol that Connect would use, and why others are passed over (SPEC A.4, part 10)."""

import pytest

from broker.connect.connecting_words import protocol_of
from broker.core.clock import now
from centers.models import Desktop
from gateways.models import Gateway
from plans.models import ProtocolChoice, ProtocolPlan
from tests import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def desktop() -> Desktop:
    make.defaults()
    return make.desktop(make.center())


@pytest.fixture
def edge() -> Gateway:
    return Gateway.objects.create(
        name="Edge", address="gw.example", public_key="k", state=Gateway.State.ONLINE, heard_at=now()
    )


def plan(**choices: tuple[int | None, Gateway | None]) -> ProtocolPlan:
    """A plan whose web client uses these protocols: priority and gateway."""
    made = ProtocolPlan.objects.create(name="Mine")
    for protocol, (priority, gateway) in choices.items():
        ProtocolChoice.objects.create(plan=made, client="web", protocol=protocol, priority=priority, gateway=gateway)
    return made


def test_the_first_one_that_can_be_had_and_those_that_are_not_used(desktop: Desktop, edge: Gateway) -> None:
    mine = plan(html5_rdp=(1, edge), rdp=(2, None), html5_ssh=(None, edge))
    assert protocol_of(mine, desktop) == (
        "HTML5 RDP, in the browser through gateway Edge", ["HTML5 SSH: not used by this plan"],
    )  # fmt: skip


def test_a_gateway_that_is_down_is_passed_over_with_its_reason(desktop: Desktop, edge: Gateway) -> None:
    Gateway.objects.update(state="offline")
    said, skipped = protocol_of(plan(html5_rdp=(1, edge), rdp=(2, None)), desktop)
    assert said == "RDP, as a file"
    assert skipped == ["HTML5 RDP: The gateway Edge, through which your connection goes, does not answer."]


def test_a_viewer_without_a_gateway_and_dcv_without_its_agent(desktop: Desktop) -> None:
    said, skipped = protocol_of(plan(html5_vnc=(1, None), dcv=(2, None), rdp=(3, None)), desktop)
    assert said == "RDP, as a file"
    assert skipped == [
        "HTML5 VNC: its viewer runs on a gateway, and the plan names none",
        "Amazon DCV: the desktop's agent reports no Amazon DCV",
    ]


def test_nothing_at_all(desktop: Desktop, edge: Gateway) -> None:
    Gateway.objects.update(state="offline")
    said, skipped = protocol_of(plan(html5_rdp=(1, edge)), desktop)
    assert said.startswith("None: You cannot be connected just now: HTML5 RDP: The gateway Edge")
    assert skipped == []
    assert protocol_of(None, desktop) == ("None: there is no protocol plan", [])
