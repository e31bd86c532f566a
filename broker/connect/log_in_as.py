"""In whose domain a user logs in to a desktop: the user's own, or the desktop's, by an account of the machine itself
(SPEC 3.2, *Log in as*)."""

from agents.protocol import NETBIOS_LENGTH, Said, is_called
from authservers.models import User
from broker.connect import plans_in_force
from centers.models import Desktop
from policies.models import LogInAs
from pools.models import Assignment


def locally(assignment: Assignment) -> bool:
    """Whether it is an account of the machine: by the pool assignment or the hard section of now, else by the role."""
    in_force = plans_in_force.for_assignment(assignment)
    said: str = LogInAs.ROLE
    if in_force.line:
        said = in_force.line.log_in_as
    elif in_force.policy and assignment.kind == Assignment.Kind.HARD:
        said = in_force.policy.hard_log_in_as
    if said != LogInAs.ROLE:
        return said == LogInAs.LOCAL
    role = plans_in_force.standing_of(assignment.user).role
    return role is not None and role.local_user


def domain(desktop: Desktop, assignment: Assignment) -> str:
    """What a login name on the desktop is preceded by."""
    return desktop.computer_name[:NETBIOS_LENGTH] if locally(assignment) else assignment.user.netbios


def whose(desktop: Desktop, said: Said) -> int | None:
    """Whose account of the machine itself an agent means: that of the name of who has the desktop, where the policy
    has them log in by one. An account of the machine is nobody's otherwise (RULES 6)."""
    machine, _, name = said.user.rpartition("\\")
    if machine and not is_called(said.hostname, machine):
        return None
    held = Assignment.objects.select_related("user__server", "desktop__center").filter(desktop=desktop, closed_at=None)
    called = (each for each in held if plain_name(each.user).casefold() == name.casefold())
    return next((each.user_id for each in called if locally(each)), None)


def plain_name(user: User) -> str:
    """A user's name without a domain; so an account of a machine is called that is the user's."""
    return user.sam or user.login.partition("@")[0]
