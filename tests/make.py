"""Builders: plain functions that make rows as the product would have them."""

import itertools
from typing import Any

from django.contrib.auth import login
from django.core.management import call_command
from django.http import HttpRequest
from django.test import Client, RequestFactory

from authservers.models import LOCAL, AuthenticationServer, User, key_of
from broker.connect.login import BACKEND, Came, opened
from broker.core.clock import now
from centers.models import Center, Desktop
from plans.models import PowerControlPlan, ProtocolPlan, ReleasePlan
from policies.backends import AREAS
from policies.models import Access, Policy, PoolAssignment, Role
from policies.services import Standing
from pools.models import Assignment, Pool
from pools.services import Terms, lend_this

numbers = itertools.count(1)
PASSWORD = "correct-Horse9"


def defaults() -> None:
    """What every broker has."""
    call_command("defaults")


def local_server() -> AuthenticationServer:
    """The built-in local server."""
    return AuthenticationServer.objects.get_or_create(kind=LOCAL, defaults={"name": "Local users", "position": 0})[0]


def server(**fields: Any) -> AuthenticationServer:
    """A directory, never asked."""
    number = next(numbers)
    made = {
        "name": f"Directory {number}",
        "domain": "corp.example.test",
        "netbios": "CORP",
        "directory_ids": [f"d-90670000{number:02x}"],
        "config": {"host": "127.0.0.1", "port": 9, "security": "ldaps", "search_user": "svc"},
    }
    return AuthenticationServer.objects.create(**{**made, **fields})


def user(login: str = "", at: AuthenticationServer | None = None, **fields: Any) -> User:
    """A person; of the local server, with PASSWORD, unless a directory is given."""
    name = login or f"user{next(numbers)}"
    home = at or local_server()
    made = {
        "display_name": name.capitalize(),
        "sam": name,
        "netbios": home.netbios,
        "sid": f"S-1-5-21-1-2-3-{next(numbers) + 1000}" if at else "",
        "created_at": now(),
    }
    row = User(server=home, login=name, key=key_of(home.pk, name), **{**made, **fields})
    if at:
        row.set_unusable_password()
    else:
        row.set_password(PASSWORD)
    row.save()
    return row


def center(at: AuthenticationServer | None = None, **fields: Any) -> Center:
    """A WorkSpaces center."""
    home = at or server()
    made = {
        "name": f"Center {next(numbers)}",
        "region": "us-east-1",
        "directory_id": home.directory_ids[0],
        "status": Center.Status.ONLINE,
        "config": {"access_key": "AKIAUSHERTEST0000001"},
    }
    return Center.objects.create(server=home, **{**made, **fields})


def desktop(at: Center, **fields: Any) -> Desktop:
    """A running WorkSpace of a center."""
    number = next(numbers)
    made = {
        "ref": f"ws-{number:09d}",
        "name": f"WSAMZN-{number:06d}",
        "display_name": f"Desktop {number}",
        "computer_name": f"WSAMZN-{number:06d}",
        "address": f"10.0.{number // 250}.{number % 250 + 1}",
        "power": Desktop.Power.RUNNING,
        "raw_state": "AVAILABLE",
        "running_mode": "MANUAL",
        "first_seen_at": now(),
        "sighted_at": now(),
    }
    return Desktop.objects.create(center=at, **{**made, **fields})


def root_pool() -> Pool:
    """All Desktops."""
    return Pool.objects.get_or_create(is_root=True, defaults={"name": "All Desktops", "defined_by": Pool.By.ALL})[0]


def pool(*centers: Center, **fields: Any) -> Pool:
    """A pool of centers."""
    row = Pool.objects.create(
        **{"name": f"Pool {next(numbers)}", "parent": root_pool(), "defined_by": Pool.By.CENTERS, **fields}
    )
    row.centers.set(centers)
    return row


def policy(*pools: Pool, plans: dict[str, Any] | None = None, **line: Any) -> Policy:
    """A policy with a line per pool."""
    row = Policy.objects.create(name=f"Policy {next(numbers)}")
    for order, each in enumerate(pools, 1):
        PoolAssignment.objects.create(**{"policy": row, "order": order, "pool": each, **plan_rows(plans), **line})
    return row


def plan_rows(plans: dict[str, Any] | None = None) -> dict[str, Any]:
    """The three plans of a line: the Defaults, or those given."""
    made = {
        "protocol_plan": ProtocolPlan.objects.get_or_create(is_default=True, defaults={"name": "Default"})[0],
        "power_plan": PowerControlPlan.objects.get_or_create(
            is_default=True, defaults={"name": "Default", "started_action": "none"}
        )[0],
        "release_plan": ReleasePlan.objects.get_or_create(is_default=True, defaults={"name": "Default"})[0],
    }
    return {**made, **(plans or {})}


def role(admin: bool = False, **fields: Any) -> Role:
    """A role: User, or Administrator with every page."""
    kind = "administrator" if admin else "user"
    pages = dict.fromkeys(AREAS, "edit") if admin else {}
    return Role.objects.get_or_create(
        builtin=kind, defaults={"name": kind.capitalize(), "admin_ui": admin, "pages": pages, **fields}
    )[0]


def grant(person: User, *, role: Role | None = None, policy: Policy | None = None) -> User:
    """Give a role or policy to a person directly."""
    Access.objects.update_or_create(user=person, defaults={"role": role, "policy": policy})
    return person


def signed_in(client: Client, person: User, role_row: Role | None = None, policy_row: Policy | None = None) -> Client:
    """Sign a person in without the form: the same rows as a sign-in makes."""
    request: HttpRequest = RequestFactory().get("/", HTTP_USER_AGENT="test")
    request.session = client.session
    login(request, person, backend=BACKEND)
    given = Standing(role_row or role(), policy_row or default_policy(), "by the test")
    opened(request, person, given, Came())
    request.session.save()
    client.cookies["sessionid"] = request.session.session_key or ""
    return client


def default_policy() -> Policy:
    """The Default policy."""
    return Policy.objects.get_or_create(is_default=True, defaults={"name": "Default"})[0]


def admin_client(client: Client) -> Client:
    """The client, signed in as an administrator with every permission."""
    return signed_in(client, user(f"admin{next(numbers)}"), role(admin=True))


def client_with(client: Client, **pages: str) -> Client:
    """The client, signed in with these page permissions only: client_with(client, pools="view")."""
    name = f"Role {next(numbers)}"
    return signed_in(client, user(), Role.objects.create(name=name, admin_ui=True, pages=pages))


def assignment(person: User, machine: Desktop, **terms: Any) -> Assignment:
    """A desktop lent to a person."""
    row = lend_this(person, machine, Terms(**{"origin": "admin", **terms}))
    assert row is not None
    return row
