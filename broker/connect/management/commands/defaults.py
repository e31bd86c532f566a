"""`manage.py defaults`: what exists from the first start (seed ch. 7). Runs at each start and changes nothing twice."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from authservers.models import LOCAL, AuthenticationServer, User, key_of
from broker.connect.setup import FIRST_LOGIN, FIRST_PASSWORD
from broker.core.clock import now
from broker.core.jobs import Wish, enqueue
from centers.models import Center
from plans.models import PowerAction, PowerControlPlan, ProtocolChoice, ProtocolPlan, ReleasePlan
from plans.rdp import DEFAULT_RDP_TEMPLATE
from policies.backends import AREAS
from policies.models import Access, Policy, PoolAssignment, Role
from pools.models import Pool


class Command(BaseCommand):
    """Creates the Defaults where they are missing."""

    help = "Create what every broker has: All Desktops, the Default plans and policy, two roles, the administrator."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        """All of it, in one transaction."""
        administrator, _role = roles()
        server = AuthenticationServer.objects.get_or_create(
            kind=LOCAL, defaults={"name": "Local users", "position": 0, "in_domain_list": False}
        )[0]
        policy = default_policy(root_pool(), protocol_plan(), power_plan(), release_plan())
        first_administrator(server, administrator, policy)
        recurring_jobs()


def roles() -> tuple[Role, Role]:
    """Administrator and User."""
    everything = dict.fromkeys(AREAS, "edit")
    administrator = Role.objects.get_or_create(
        builtin="administrator", defaults={"name": "Administrator", "admin_ui": True, "api": True, "pages": everything}
    )[0]
    return administrator, Role.objects.get_or_create(builtin="user", defaults={"name": "User"})[0]


def root_pool() -> Pool:
    """All Desktops."""
    return Pool.objects.get_or_create(is_root=True, defaults={"name": "All Desktops", "defined_by": Pool.By.ALL})[0]


def protocol_plan() -> ProtocolPlan:
    """RDP by a file, for both kinds of client."""
    plan, made = ProtocolPlan.objects.get_or_create(is_default=True, defaults={"name": "Default"})
    for client in ProtocolChoice.Client if made else ():
        plan.choices.create(
            client=client, protocol=ProtocolChoice.Protocol.RDP, priority=1, template=DEFAULT_RDP_TEMPLATE
        )
    return plan


def power_plan() -> PowerControlPlan:
    """No change of power, whatever happens (CONTRACTS 2.7)."""
    defaults = {"name": "Default", "started_action": PowerAction.NONE}
    return PowerControlPlan.objects.get_or_create(is_default=True, defaults=defaults)[0]


def release_plan() -> ReleasePlan:
    """Released when the user logs out (seed ch. 7)."""
    return ReleasePlan.objects.get_or_create(is_default=True, defaults={"name": "Default"})[0]


def default_policy(pool: Pool, protocol: ProtocolPlan, power: PowerControlPlan, release: ReleasePlan) -> Policy:
    """One desktop from All Desktops, under the Default plans."""
    policy, made = Policy.objects.get_or_create(is_default=True, defaults={"name": "Default"})
    if made:
        PoolAssignment.objects.create(
            policy=policy,
            pool=pool,
            display=PoolAssignment.Display.DISPLAY_NAME,
            protocol_plan=protocol,
            power_plan=power,
            release_plan=release,
        )
    return policy


def first_administrator(server: AuthenticationServer, role: Role, policy: Policy) -> None:
    """The built-in administrator, with the given password or with the one that must be replaced."""
    if User.objects.filter(server=server).exists():
        return
    first = not settings.ADMIN_PASSWORD
    user = User(
        server=server,
        key=key_of(server.pk, FIRST_LOGIN),
        login=FIRST_LOGIN,
        display_name="Administrator",
        must_change_password=first,
        must_agree=first,
        created_at=now(),
    )
    user.set_password(settings.ADMIN_PASSWORD or FIRST_PASSWORD)
    user.save()
    Access.objects.create(user=user, role=role, policy=policy)


def recurring_jobs() -> None:
    """Housekeeping, and a scan of each center that has an interval."""
    enqueue(Wish("housekeeping", key="housekeeping", run_at=now() + timedelta(seconds=5)))
    for center in Center.objects.filter(refresh_minutes__gt=0):
        subject = f"center:{center.pk}"
        enqueue(Wish("poll", subject, center.name, key=f"poll:{center.pk}"))
