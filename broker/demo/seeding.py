"""What the demo is configured with at its first start: one directory, one center, people, pools, plans and a policy.

The second directory is left alone: it is for the walk through the pages. Network first, then one transaction.
"""

from collections.abc import Sequence
from dataclasses import replace

from django.db import transaction

from authservers.directories.base import Directory, Group, Person
from authservers.loading import store
from authservers.models import LOCAL, AuthenticationServer
from authservers.services import directory
from broker.core import audit
from broker.core.clock import now
from broker.core.fields import set_secret
from broker.demo.aws import constants
from broker.demo.places import DirectoryFacts
from centers.models import Center
from centers.services import ask_for_scan
from plans.models import NEVER, PowerAction, PowerControlPlan, ProtocolPlan, ReleasePlan
from policies.models import AssignmentRule, Location, Policy, PoolAssignment, Role
from pools.models import Pool

SERVER, CENTER, POLICY = "Corp directory", "WorkSpaces us-east-1", "Corp desktops"
# The walk makes plans with the names of the seed's chapter 7, and names are unique.
POWER, RELEASE = "Corp: Shutdown on logout", "Corp: Persistent WorkSpaces Assignment"
PEOPLE_OF, ALSO, ADMINISTRATORS, USERS = (
    "Engineering",
    ("alice", "bob", "carol", "priya"),
    "Usher Admins",
    "Usher Users",
)
NEAR = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")


def untouched() -> bool:
    """Whether nobody has configured anything yet; what somebody has made is left alone."""
    directories = AuthenticationServer.objects.exclude(kind=LOCAL)
    return not directories.exists() and not Center.objects.exists()


def plant(facts: DirectoryFacts) -> Center:
    """Load the ready configuration. Raises DirectoryError."""
    server = corp_server(facts)
    source = directory(server)
    source.check()
    groups = source.groups()
    people = people_of(source, groups)
    with transaction.atomic():
        server.groups = [{"sid": group.sid, "name": group.name, "dn": group.dn} for group in groups]
        server.groups_at = now()
        server.save()
        store(server, people, gone=0)
        center = corp_center(server)
        policy = corp_policy(corp_pools(center))
        corp_rules(server, policy, {group.name: group for group in groups})
        audit.record("demo.seeded", f"The demo's configuration: {server}, {center}, policy {policy}.", subject=center)
        ask_for_scan(center)
    return center


def corp_server(facts: DirectoryFacts) -> AuthenticationServer:
    """The authentication server (unsaved), as its form would make it."""
    server = AuthenticationServer(
        name=SERVER,
        domain=facts.domain,
        netbios=facts.netbios,
        directory_ids=[facts.directory_id],
        config={
            "address_by": "host",
            "search_user": facts.search_user,
            "base_dn": "",
            "user_filter": "",
            **where(facts),
        }
        | {"match_field": "sAMAccountName", "query_groups": True},
    )
    set_secret(server, "search_password", facts.search_password)
    return server


def where(facts: DirectoryFacts) -> dict[str, str | int]:
    """The part of a server's settings that says where the directory is."""
    return {"host": facts.host, "port": facts.ldaps_port, "security": "ldaps", "ca_pem": facts.ca_pem}


def people_of(source: Directory, groups: Sequence[Group]) -> list[Person]:
    """Some of the people, groups included: one department, and those whom the demo names."""
    named = "".join(f"(sAMAccountName={sam})" for sam in ALSO)
    engineers = next(group.dn for group in groups if group.name == PEOPLE_OF)
    found = {person.guid: person for person in [*source.matching(f"(|{named})"), *source.members_of(engineers)]}
    sids = source.group_sids_of([person.dn for person in found.values()])
    return [replace(person, group_sids=sids.get(person.dn, ())) for person in found.values()]


def corp_center(server: AuthenticationServer) -> Center:
    """The WorkSpaces of the configured directory."""
    center = Center(
        name=CENTER,
        server=server,
        region=constants.REGION,
        directory_id=constants.CORP_DIRECTORY,
        config={"access_key": constants.ACCESS_KEY},
        new_deletable=False,
    )
    set_secret(center, "secret_key", constants.SECRET_KEY)
    center.save()
    return center


def corp_pools(center: Center) -> tuple[Pool, Pool]:
    """All of the center, and in it the desktops of one person each and those that people share."""
    root = Pool.objects.get(is_root=True)
    whole = Pool.objects.create(name="Corp WorkSpaces", parent=root, defined_by=Pool.By.CENTERS)
    whole.centers.set([center])
    personal = Pool.objects.create(
        name="Corp personal WorkSpaces",
        display_name="My WorkSpace",
        parent=whole,
        defined_by=Pool.By.ATTRIBUTES,
        rules=[{"attribute": "aws_user", "condition": "ne", "value": ""}],
    )
    shared = Pool.objects.create(
        name="Corp shared desktops",
        display_name="Shared desktop",
        parent=whole,
        defined_by=Pool.By.ATTRIBUTES,
        rules=[{"attribute": "display_name", "condition": "bw", "value": "shared-"}],
    )
    return personal, shared


def corp_policy(pools: tuple[Pool, Pool]) -> Policy:
    """One's own WorkSpace, which stays one's own and stops at log-out, and one shared desktop for a session."""
    power = PowerControlPlan.objects.create(name=POWER, logged_out_wait=0, logged_out_action=PowerAction.SHUTDOWN)
    release = ReleasePlan.objects.create(name=RELEASE, logged_out_release=NEVER)
    policy = Policy.objects.create(name=POLICY)
    protocol = ProtocolPlan.objects.get(is_default=True)
    defaults = {"power_plan": PowerControlPlan.objects.get(is_default=True), "protocol_plan": protocol}
    PoolAssignment.objects.create(
        policy=policy,
        order=1,
        pool=pools[0],
        display=PoolAssignment.Display.DISPLAY_NAME,
        offer_stopped=PoolAssignment.Stopped.ANY,
        allow_restart=PoolAssignment.Restart.REBOOT,
        protocol_plan=protocol,
        power_plan=power,
        release_plan=release,
    )
    PoolAssignment.objects.create(
        policy=policy,
        order=2,
        pool=pools[1],
        display=PoolAssignment.Display.SHOWN_POOL_DISPLAY_NAME,
        release_plan=ReleasePlan.objects.get(is_default=True),
        **defaults,
    )
    return policy


def corp_rules(server: AuthenticationServer, policy: Policy, groups: dict[str, Group]) -> None:
    """Who gets which role and policy, by group and location."""
    office = Location.objects.create(
        name="Office network",
        order=1,
        match_all=False,
        rules=[{"attribute": "ip", "condition": "cidr", "value": network} for network in NEAR],
        notes="The demo's: every private address and this machine itself.",
    )
    wanted = ((ADMINISTRATORS, "administrator", None), (USERS, "user", office))
    for order, (name, role, location) in enumerate(wanted, 1):
        AssignmentRule.objects.create(
            server=server,
            order=order,
            group_sid=groups[name].sid,
            group_name=name,
            location=location,
            role=Role.objects.get(builtin=role),
            policy=policy,
        )


def follow(directories: dict[str, DirectoryFacts]) -> list[str]:
    """Tell servers of the demo's directories where these listen now: a port may have been taken meanwhile."""
    moved = []
    for facts in directories.values():
        for server in AuthenticationServer.objects.filter(domain=facts.domain):
            before = server.config
            if before.get("host") not in ("localhost", "127.0.0.1"):
                continue
            port = facts.ldaps_port if before.get("security") == "ldaps" else facts.port
            now_there = {**before, "port": port, "ca_pem": facts.ca_pem if before.get("ca_pem") else ""}
            if now_there != before:
                AuthenticationServer.objects.filter(pk=server.pk).update(config=now_there)
                moved.append(server.name)
    return moved
