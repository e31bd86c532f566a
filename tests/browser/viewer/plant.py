"""What the broker of these tests is configured with. Runs inside it: `manage.py shell -c 'plant.main("…")'`."""

import json
from datetime import timedelta
from typing import Any

from broker.connect import actions
from broker.core.clock import now
from broker.core.models import Job, ref
from centers.models import Desktop
from gateways.models import Gateway, GatewayCluster
from gateways.registration import meet, pin
from plans.models import NEVER, PowerAction, PowerControlPlan, ProtocolChoice, ProtocolPlan, ReleasePlan
from policies.models import Policy, PoolAssignment
from pools.models import Assignment
from tests import make

POLICY = "Viewers"
TIDY = "Classic"  # the desktop that is shut down an hour after its user has left


def main(text: str) -> None:
    """Make everything of this JSON."""
    told = json.loads(text)
    cluster = GatewayCluster.objects.create(name="Both", balance=GatewayCluster.Balance.SIGN_IN)
    for number, address in enumerate(told["gateways"], 1):
        registered(f"Gateway {number}", address, cluster)
    person = make.user(told["login"], sam=told["login"])
    person.set_password(told["password"])
    person.save()
    policy = Policy.objects.create(name=POLICY)
    make.grant(person, role=make.role(), policy=policy)
    for order, each in enumerate(told["desktops"], 1):
        make.assignment(person, offered(policy, cluster, order, each))


def registered(name: str, address: str, cluster: GatewayCluster) -> None:
    """As Save does it."""
    row = Gateway(name=name, address=address, cluster=cluster, state=Gateway.State.ONLINE)
    pin(row, meet(row))
    row.save()


def offered(policy: Policy, cluster: GatewayCluster, order: int, told: dict[str, Any]) -> Desktop:
    """A desktop with a pool, plans and a line of its own; nothing happens to it when its user leaves, but for TIDY."""
    center, name = make.center(), told["name"]
    plan = ProtocolPlan.objects.create(name=name)
    ProtocolChoice.objects.create(
        plan=plan, client=ProtocolChoice.Client.WEB, protocol=told["protocol"], priority=1,
        cluster=cluster, port=told["port"], sso_user=told["user"], sso_domain="",
    )  # fmt: skip
    left = PowerAction.SHUTDOWN if name == TIDY else PowerAction.NONE
    power = PowerControlPlan.objects.create(
        name=name, started_action=PowerAction.NONE, disconnected_action=left, disconnected_wait=3600
    )
    release = ReleasePlan.objects.create(name=name, logged_out_release=NEVER)
    PoolAssignment.objects.create(
        policy=policy, order=order, pool=make.pool(center, name=name), display=PoolAssignment.Display.DISPLAY_NAME,
        protocol_plan=plan, power_plan=power, release_plan=release,
    )  # fmt: skip
    return make.desktop(center, display_name=name, address="127.0.0.1")


def changed(**fields: object) -> None:
    """Other settings of the policy."""
    Policy.objects.filter(name=POLICY).update(**fields)


def idles(name: str, minutes: int) -> None:
    """As when the agent had told of idleness and a plan logs out after so long."""
    at, desktop = now() + timedelta(minutes=minutes), Desktop.objects.get(display_name=name)
    due = {"do": "log_out", "at": at.isoformat(), "because": "idle", "since": now().isoformat(), "plan": name,
           "detail": "", "source": "", "notice": None}  # fmt: skip
    Job.objects.create(kind="logout", subject=ref(desktop), run_at=at, created_at=now(), payload={"due": due})


def no_longer_idles() -> None:
    """Called off."""
    Job.objects.filter(kind="logout").delete()


def released(name: str) -> None:
    """By an administrator."""
    held = Assignment.objects.get(desktop__display_name=name, closed_at=None)
    actions.release(held.pk, "by an administrator")


def lent_again(name: str) -> None:
    """To whoever had it last."""
    last = Assignment.objects.filter(desktop__display_name=name).latest("pk")
    make.assignment(last.user, last.desktop)
