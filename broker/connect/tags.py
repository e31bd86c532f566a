"""The values of dynamic tags (SPEC 3.2): what templates and URLs may know of a connection. Never a password."""

from authservers.models import User
from broker.connect import log_in_as
from broker.connect.models import Launch
from centers.models import Desktop


def values(desktop: Desktop, user: User | None, launch: Launch | None = None, client_ip: str = "") -> dict[str, str]:
    """Tag name -> value; `desktop` is read with its center."""
    found = {
        "IP": desktop.destination,
        "HOSTNAME": desktop.computer_name,
        "NAME": desktop.name,
        "DISPLAY_NAME": desktop.display_name or desktop.name,
        "CENTER": desktop.center.name,
        "CLIENT_IP": client_ip,
        "SESSION_ID": str(launch.pk) if launch else "",
    }
    if launch and launch.assignment.pool:
        found["POOL"] = launch.assignment.pool.name
    if launch and launch.portal_session and launch.portal_session.policy:
        found["POLICY"] = launch.portal_session.policy.name
    if user:
        found |= of_user(user)
    if launch:
        found["DOMAIN"] = log_in_as.domain(desktop, launch.assignment)
    return found


def of_user(user: User) -> dict[str, str]:
    """What is known of a user alone."""
    known = {"USER": user.sam or user.login, "DOMAIN": user.netbios, "EMAIL": user.email}
    return known | {f"USER:{name}": first(value) for name, value in user.attributes.items()}


def first(value: object) -> str:
    """The first value of a directory attribute."""
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value)
