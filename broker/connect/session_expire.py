"""After a server's assignment rules, or a person's groups, changed: what that leaves to who is signed in (RULES 22)."""

from datetime import timedelta

from authservers.models import AuthenticationServer, User
from broker.connect import tunnels
from broker.connect.closing import shut_out
from broker.connect.models import PortalSession
from broker.connect.plans_in_force import standing_of
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Moot, Result
from broker.core.models import Job
from policies.services import Standing, standing


def run(job: Job) -> Result:
    """Give each open portal session of the server's people the role and policy of now, or end it; and end what those
    work with whose sign-in is over already: it leaves their desktops open (RULES 22)."""
    server = AuthenticationServer.objects.filter(pk=job.payload["server"]).first()
    if server is None:
        return Moot("The authentication server is gone.")
    people = User.objects.filter(server=server, **({"pk": job.payload["user"]} if "user" in job.payload else {}))
    signed_in = PortalSession.objects.filter(user__in=people, closed_at=None, expires_at__gt=now())
    changed = sum(judged_again(portal, server) for portal in signed_in.select_related("user", "location"))
    for person in tunnels.people_inside().filter(pk__in=people).exclude(pk__in=signed_in.values("user")):
        withdrawn(person, standing_of(person))
    return Done(f"{changed} sign-ins have another role or policy, or have ended.")


def withdrawn(user: User, given: Standing) -> bool:
    """End what somebody may not use any more; whether that is everything."""
    if given.role is None or given.policy is None:
        audit.record("auth.session_expired", f"{user} is signed out: {given.why}", user=user)
        shut_out(user, "the assignment rules give no access")
        return True
    if not given.role.web_client:
        tunnels.close_of_user(user, "Your role no longer has the web client.")
    return False


def judged_again(portal: PortalSession, server: AuthenticationServer) -> bool:
    """Whether a portal session was changed or closed."""
    given = standing(portal.user, server, portal.user.group_sids, portal.location)
    if withdrawn(portal.user, given) or given.role is None or given.policy is None:
        return True
    if (given.role.pk, given.policy.pk) == (portal.role_id, portal.policy_id):
        return False
    message = f"{portal.user} has role {given.role} and policy {given.policy} from now on: {given.why}"
    audit.record("auth.session_changed", message, user=portal.user)
    still_open = PortalSession.objects.filter(pk=portal.pk, closed_at=None)
    return bool(still_open.update(role=given.role, policy=given.policy))


KIND = Kind(run=run, deadline=timedelta(minutes=10))
