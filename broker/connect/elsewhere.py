"""The user's own session on another device: Connect asks before it takes it over (SPEC A.8)."""

from datetime import timedelta

from authservers.models import User
from broker.connect.launching import Who
from broker.connect.models import DesktopSession, Launch
from centers.models import Desktop
from policies import locations

UNKNOWN = "another device"
BY_LAUNCH = timedelta(minutes=15)  # a login so soon after the file was handed out came by this file


def session(who: Who, desktop: Desktop) -> DesktopSession | None:
    """The user's own session there, where it is connected from another device than the one that clicks."""
    live = DesktopSession.objects.filter(desktop=desktop, user=who.user, ended_at=None)
    found = live.filter(state=DesktopSession.State.ACTIVE).order_by("-changed_at").first()
    if found is None:
        return None
    last = last_launch(who.user, desktop)
    came_from = last.portal_session.client_id if last and last.portal_session else None
    here = who.portal.client_id if who.portal else None
    return None if here is not None and here == came_from else found


def last_launch(user: User, desktop: Desktop) -> Launch | None:
    """The last launch that handed out a way to this desktop."""
    opened = Launch.objects.filter(user=user, desktop=desktop, opened_at__isnull=False)
    return opened.select_related("portal_session__client").order_by("-pk").first()


def device(user: User, found: DesktopSession) -> str:
    """From where somebody is connected, in words: of the launch that the session came by, where there was one."""
    last = last_launch(user, found.desktop)
    client = last.portal_session.client if last and last.portal_session else None
    if last is None or client is None or last.opened_at is None or found.changed_at - last.opened_at > BY_LAUNCH:
        return UNKNOWN
    known = locations.described(client.user_agent, last.client_ip)
    seen = " on ".join(each for each in (known["browser"], known["os"]) if each)
    return ", ".join(each for each in (seen, last.client_ip) if each) or UNKNOWN
