"""After a server's assignment rules changed: what they give to those who are signed in (RULES 22)."""

from datetime import timedelta

from authservers.models import AuthenticationServer
from broker.connect import tunnels
from broker.connect.closing import shut_out
from broker.connect.models import PortalSession
from broker.core import audit
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Moot, Result
from broker.core.models import Job
from policies.services import standing


def run(job: Job) -> Result:
    """Give each open portal session of the server's people the role and policy of now, or end it."""
    server = AuthenticationServer.objects.filter(pk=job.payload["server"]).first()
    if server is None:
        return Moot("The authentication server is gone.")
    signed_in = PortalSession.objects.filter(user__server=server, closed_at=None, expires_at__gt=now())
    changed = sum(judged_again(portal, server) for portal in signed_in.select_related("user", "location"))
    return Done(f"{changed} sign-ins have another role or policy, or have ended.")


def judged_again(portal: PortalSession, server: AuthenticationServer) -> bool:
    """Whether a portal session was changed or closed."""
    given = standing(portal.user, server, portal.user.group_sids, portal.location)
    still_open = PortalSession.objects.filter(pk=portal.pk, closed_at=None)
    if given.role is None or given.policy is None:
        audit.record("auth.session_expired", f"{portal.user} is signed out: {given.why}", user=portal.user)
        return bool(shut_out(portal.user, "the assignment rules give no access"))
    if not given.role.web_client:
        tunnels.close_of_user(portal.user, "Your role no longer has the web client.")
    if (given.role.pk, given.policy.pk) == (portal.role_id, portal.policy_id):
        return False
    message = f"{portal.user} has role {given.role} and policy {given.policy} from now on: {given.why}"
    audit.record("auth.session_changed", message, user=portal.user)
    return bool(still_open.update(role=given.role, policy=given.policy))


KIND = Kind(run=run, deadline=timedelta(minutes=10))
