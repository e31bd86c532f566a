"""Which plans act on a desktop now, and why (RULES 11): resolved at the event, never stored with the assignment."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from authservers.models import User
from broker.connect import sources
from centers.models import Desktop
from plans.engine import Action, Event, Notice, Step
from plans.models import MAY_ASK, NEVER, WARN_BEFORE, PowerControlPlan, ProtocolPlan, ReleasePlan
from plans.steps import power_steps, release_steps, warned, with_closed
from policies.models import Location, Policy, PoolAssignment
from policies.services import Standing, standing
from pools.models import Assignment

ROGUE = "rogue"  # the origin of an assignment that a login past the broker brought about
NOTICE = Notice(timedelta(seconds=WARN_BEFORE), "", MAY_ASK)  # what the hard section's steps are announced by


@dataclass(frozen=True, slots=True)
class InForce:
    """The plans, their steps for the engine, and why these."""

    why: str
    protocol: ProtocolPlan | None
    power: PowerControlPlan | None
    release: ReleasePlan | None
    policy: Policy | None = None
    line: PoolAssignment | None = None
    extra: list[Step] = field(default_factory=list)
    closed_as: str = ReleasePlan.Closed.DISCONNECT

    @property
    def steps(self) -> list[Step]:
        """What all the plans together want."""
        steps = list(self.extra)
        if self.power:
            steps += power_steps(self.power)
        if self.release:
            steps += release_steps(self.release)
        if self.line:
            steps += line_steps(self.line)
        return with_closed(steps, self.release.closed_as if self.release else self.closed_as)


def hard_steps(policy: Policy) -> list[Step]:
    """What a policy's hard section says of sessions: there is no release plan (SPEC 3.5.3)."""
    name = f"{policy.name}, hard-assigned"
    waits = (
        (policy.hard_disconnected_log_out, Event.DISCONNECTED, Action.LOG_OUT),
        (policy.hard_idle_lock, Event.IDLE, Action.LOCK),
        (policy.hard_idle_disconnect, Event.IDLE, Action.DISCONNECT),
        (policy.hard_idle_log_out, Event.IDLE, Action.LOG_OUT),
    )
    steps = [Step(event, action, timedelta(seconds=wait), name) for wait, event, action in waits if wait != NEVER]
    return [*(warned(step, NOTICE) for step in steps), *hard_urls(policy, name)]


def hard_urls(policy: Policy, name: str) -> list[Step]:
    """The URLs that a policy's hard section calls: plainly, for the secret that signs belongs to release plans."""
    urls = (
        (policy.hard_disconnected_url, Event.DISCONNECTED, 0),
        (policy.hard_logged_out_url, Event.LOGGED_OUT, 0),
        (policy.hard_idle_url, Event.IDLE, policy.hard_idle_url_after),
    )
    steps = [
        (Step(event, Action.CALL_URL, timedelta(seconds=wait), name, url), wait) for url, event, wait in urls if url
    ]
    return [step for step, wait in steps if wait != NEVER]


def steps_for(assignment: Assignment, policy: Policy | None, line: PoolAssignment | None) -> list[Step]:
    """The steps for an assigned desktop whose policy and line are known already; nothing where neither says any."""
    if policy is not None and assignment.kind == Assignment.Kind.HARD:
        power = policy.hard_power_plan
        return [*(power_steps(power) if power else ()), *hard_steps(policy)]
    return [*power_steps(line.power_plan), *release_steps(line.release_plan), *line_steps(line)] if line else []


def line_steps(line: PoolAssignment) -> list[Step]:
    """The URL that a pool assignment has called when one of its desktops is assigned (SPEC 3.5.2)."""
    if not (line.send_url and line.assigned_url):
        return []
    name, source = f"{line.policy.name}: {line.pool.name}", f"line:{line.pk}"
    return [Step(Event.ASSIGNED, Action.CALL_URL, plan=name, detail=line.assigned_url, source=source)]


def for_assignment(assignment: Assignment) -> InForce:
    """The plans for an assigned desktop, by its user's policy of now."""
    user = assignment.user
    policy = standing_of(user).policy
    if policy is not None and assignment.kind == Assignment.Kind.HARD:
        why = f"hard-assigned: the hard section of policy {policy}"
        protocol, power = policy.hard_protocol_plan, policy.hard_power_plan
        return InForce(
            why, protocol or default_protocol(), power or default_power(), None, policy, None, hard_steps(policy),
            policy.hard_closed_as,
        )  # fmt: skip
    if assignment.origin == ROGUE and not assignment.launches.exists():
        return rogue(assignment)
    line = line_of(policy, assignment.desktop) if policy else None
    if policy is None or line is None:
        return defaults(f"no pool of {user}'s policy holds it: the Default plans")
    why = f"policy {policy}, pool {line.pool}"
    return InForce(why, line.protocol_plan, line.power_plan, line.release_plan, policy, line)


def rogue(assignment: Assignment) -> InForce:
    """The plans for whoever logged in past the broker and was given the desktop, until they connect (SPEC 3.5.5)."""
    center = assignment.desktop.center
    policy = center.rogue_policy or Policy.objects.filter(is_default=True).first()
    why = f"a rogue user of center {center}: the rogue section of policy {policy}"
    given = defaults(why)
    if policy is None:
        return given
    return replace(
        given, policy=policy, power=policy.rogue_power_plan or given.power,
        release=policy.rogue_release_plan or given.release,
    )  # fmt: skip


def standing_of(user: User) -> Standing:
    """The role and policy that the user's next sign-in would get, from the groups and the location of the last one."""
    location = Location.objects.filter(pk=user.last_location).first() if user.last_location else None
    return standing(user, user.server, user.group_sids, location)


def line_of(policy: Policy, desktop: Desktop, *, hard: bool = False) -> PoolAssignment | None:
    """The first line of a policy whose pool holds the desktop, else the first whose backup pool does.

    A hard-assigned desktop follows the hard section instead, told as a line without pool and plans.
    """
    return sources.hard_line(policy) if hard else sources.holding(policy, desktop)


def defaults(why: str) -> InForce:
    """The Default plans."""
    return InForce(why, default_protocol(), default_power(), ReleasePlan.objects.filter(is_default=True).first())


def default_protocol() -> ProtocolPlan | None:
    """The Default protocol plan."""
    return ProtocolPlan.objects.filter(is_default=True).first()


def default_power() -> PowerControlPlan | None:
    """The Default power control plan."""
    return PowerControlPlan.objects.filter(is_default=True).first()


def unassigned(desktop: Desktop) -> InForce:
    """A desktop that is nobody's: only the Default power plan has a say."""
    return InForce("assigned to nobody: the Default power plan", None, default_power(), None)


def of(desktop: Desktop, assignment: Assignment | None) -> InForce:
    """The plans in force on a desktop, with its open assignment or the one that has just ended."""
    return for_assignment(assignment) if assignment else unassigned(desktop)
