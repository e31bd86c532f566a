"""Sessions of other people on a desktop that its user wants to enter (RULES 15)."""

from agents.services import command
from authservers.models import User
from broker.connect import facts
from broker.connect.models import DesktopSession, Launch
from broker.connect.plans_in_force import line_of
from centers.models import Desktop
from policies.models import PoolAssignment
from pools.models import Assignment


def leave(line: PoolAssignment | None) -> bool:
    """Whether the policy has strangers logged out before its user is connected."""
    return line is not None and line.log_out_rogue


def others(desktop: Desktop, user: User) -> list[DesktopSession]:
    """The live sessions of other people; where anybody counts as the assigned user, none of them is a stranger."""
    live = DesktopSession.objects.filter(desktop=desktop, ended_at=None).exclude(user_name="")
    own = Assignment.objects.filter(desktop=desktop, user=user, closed_at=None).first()
    return [each for each in live if each.user_id != user.pk and not (own and each.assignment_id == own.pk)]


def to_log_out(desktop: Desktop, user: User, line: PoolAssignment | None) -> list[DesktopSession]:
    """The live sessions of others that the policy's *Log out rogue users* wants ended before the user is connected."""
    return others(desktop, user) if leave(line) else []


def asked_to_leave(launch: Launch, desktop: Desktop) -> bool:
    """Whether somebody is still to leave; each is asked once per launch. Without an agent nobody is waited for."""
    policy = launch.portal_session.policy if launch.portal_session else None
    hard = launch.assignment.kind == Assignment.Kind.HARD
    leaving = to_log_out(desktop, launch.user, line_of(policy, desktop, hard=hard) if policy else None)
    agent = facts.reachable(desktop)
    if not leaving or agent is None:
        return False
    for session in leaving:
        asked = agent.commands.filter(
            type="logout", data__session=session.os_session, created_at__gte=launch.started_at
        )
        if not asked.exists():
            why = f"{launch.user} connects, and the policy logs out rogue users"
            command(agent, "logout", why, {"session": session.os_session})
    return True
