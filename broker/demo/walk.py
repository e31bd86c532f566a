"""The walk through the seed's chapters 5 to 7 with the second directory: its steps, and which of them are done."""

from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from authservers.models import AuthenticationServer, User
from broker.connect.models import DesktopSession
from broker.demo.places import DirectoryFacts
from broker.demo.seeding import POWER, RELEASE
from centers.models import Center, Desktop
from plans.models import NEVER, PowerAction, PowerControlPlan, ReleasePlan
from policies.models import AssignmentRule, PoolAssignment
from pools.models import Assignment, Pool

PERSON = "clara"  # of the second directory; alice is there, too, but shares her name with the configured one's


@dataclass(frozen=True)
class Step:
    """One thing to do. `done` None: nothing is left of it that could be looked up."""

    label: str
    address: str
    words: str
    done: bool | None


def steps(facts: DirectoryFacts) -> list[Step]:
    """The steps in the order of the seed, each told by what is in the database now."""
    server = AuthenticationServer.objects.filter(domain__iexact=facts.domain).first()
    center = Center.objects.filter(directory_id=facts.directory_id).first()
    desktops = Desktop.objects.filter(center=center).exclude(availability=Desktop.Availability.DELETED)
    pools = Pool.objects.filter(Q(centers=center) | Q(parent__centers=center)) if center else Pool.objects.none()
    power = PowerControlPlan.objects.exclude(name=POWER).filter(logged_out_action=PowerAction.SHUTDOWN)
    release = ReleasePlan.objects.exclude(name=RELEASE).filter(logged_out_release=NEVER)
    gone = DesktopSession.objects.filter(desktop__in=desktops, ended_at__isnull=False)
    stopped = Assignment.objects.filter(desktop__in=desktops, closed_at=None, desktop__power=Desktop.Power.STOPPED)
    ended = center is not None and gone.exists() and stopped.exists()
    return [
        _step("Add the authentication server", "authentication_servers:add", "with the values of this card", server),
        _step("Load users", "authentication_servers:list", f"at least {PERSON}", User.objects.filter(server=server)),
        _step("Add the center", "centers:add", "it is scanned at once", center),
        _step("Deploy a WorkSpace", "centers:list", f"for {PERSON}, running mode Manual", desktops if center else None),
        _step("Create a pool", "pools:add", "of the center's desktops", pools),
        _step("Add a power control plan", "power_control_plans:add", "Shutdown on logout", power),
        _step("Add a release plan", "release_plans:add", "Persistent WorkSpaces Assignment", release),
        _step("Create a policy", "policies:add", "that offers the pool", PoolAssignment.objects.filter(pool__in=pools)),
        _step("Add an assignment rule", "assignments:list", "for people of the server", _rules(server)),
        Step("Try it with Test Login", reverse("users:test_login"), f"as {PERSON}", None),
        Step("Sign in and connect", reverse("sign-in"), f"as {PERSON}, in a private window", None),
        Step("Log in and out again", "#desktops", "with the buttons above, and watch the WorkSpace stop", ended),
    ]


def _rules(server: AuthenticationServer | None) -> object:
    return AssignmentRule.objects.filter(server=server) if server else None


def _step(label: str, page: str, words: str, found: object) -> Step:
    """A step that is done when something is found: a row, or a query with a row."""
    done = found.exists() if hasattr(found, "exists") else found is not None
    return Step(label, reverse(page), words, bool(done))
