"""The first-run checklist: the seed's chapters 5 to 7 as steps with links. It is gone once all of them are done."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from authservers.models import LOCAL, AuthenticationServer, User
from broker.core.models import LogEntry
from centers.models import Center, Desktop
from plans.models import PowerControlPlan, ReleasePlan
from policies.models import AssignmentRule, Policy
from pools.models import Pool


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its words, where it is done, and whose permission that needs."""

    key: str
    label: str
    why: str
    url_name: str
    area: str
    done: bool = False
    address: str = ""


STEPS: list[Step] = [
    Step("server", "Add an authentication server", "People sign in with the password of their directory.",
         "authentication_servers:add", "authentication_servers"),
    Step("center", "Add a center", "It finds your WorkSpaces and images.", "centers:add", "centers"),
    Step("users", "Load users", "So that desktops can be deployed for them.", "authentication_servers:list",
         "authentication_servers"),
    Step("desktop", "Deploy a desktop", "Or scan the ones that exist.", "images:list", "centers"),
    Step("pool", "Create a pool", "A group of desktops that a policy offers.", "pools:add", "pools"),
    Step("power", "Create a power control plan", "Say when desktops are shut down.", "power_control_plans:add",
         "power_control_plans"),
    Step("release", "Create a release plan", "Say how long a desktop stays assigned.", "release_plans:add",
         "release_plans"),
    Step("policy", "Create a policy", "It offers pools under these plans.", "policies:add", "policies"),
    Step("rule", "Add an assignment rule", "It gives the policy to a group.", "assignments:list", "assignments"),
    Step("test", "Run Test Login", "It shows what somebody gets, and why.", "users:test_login", "users"),
]  # fmt: skip


def found() -> dict[str, QuerySet[Any]]:
    """What each step leaves behind."""
    return {
        "server": AuthenticationServer.objects.exclude(kind=LOCAL),
        "center": Center.objects.all(),
        "users": User.objects.exclude(server__kind=LOCAL),
        "desktop": Desktop.objects.all(),
        "pool": Pool.objects.filter(is_root=False),
        "power": PowerControlPlan.objects.filter(is_default=False),
        "release": ReleasePlan.objects.filter(is_default=False),
        "policy": Policy.objects.filter(is_default=False),
        "rule": AssignmentRule.objects.all(),
        "test": LogEntry.objects.filter(event="admin.test_login"),
    }


def checklist(request: HttpRequest) -> list[Step]:
    """The steps with what is done, in one statement; empty when all of it is."""
    asked = {f"has_{key}": Exists(rows.order_by()) for key, rows in found().items()}
    answers = AuthenticationServer.objects.filter(kind=LOCAL).values(**asked)[:1]
    done: dict[str, Any] = dict(*answers)
    steps = [
        Step(
            step.key,
            step.label,
            step.why,
            step.url_name,
            step.area,
            bool(done.get(f"has_{step.key}")),
            reverse(step.url_name),
        )
        for step in STEPS
        if request.user.has_perm(f"{step.area}.view")
    ]
    return [] if all(step.done for step in steps) else steps
