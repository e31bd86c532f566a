"""The file with which a program on the user's device connects: .rdp or .dcv, straight or through a gateway's port."""

from dataclasses import dataclass

from django.utils.timezone import localtime

from broker.connect import openings, protocols, tags
from broker.connect.models import Launch, PortalSession
from broker.connect.protocols import Taken
from broker.core.clock import now
from gateways.models import Gateway
from plans import dcv, rdp
from plans.models import ProtocolChoice
from plans.redirection import rdp_lines

NO_FILE = "This desktop is connected in the browser. Press the button on its card."


@dataclass(frozen=True, slots=True)
class File:
    """What the browser downloads."""

    content: bytes
    media_type: str
    name: str


def made(launch: Launch, portal: PortalSession, came_by: Gateway | None, client_ip: str) -> File | None:
    """The file of an opened launch; where its way goes through a gateway, its port is open then. None where the plan
    has no file. Raises Down."""
    taken = protocols.for_launch(launch, came_by)
    if taken.choice.viewer:
        return None
    protocols.settled(launch, taken.choice)
    values = tags.values(launch.desktop, launch.user, launch, client_ip) | way(launch, portal, taken, client_ip)
    name = rdp.file_name(launch.desktop.display_name or launch.desktop.name, localtime(now()))
    if taken.choice.protocol == ProtocolChoice.Protocol.DCV:
        return File(dcv.dcv_file(taken.choice.template, values), dcv.MEDIA_TYPE, name.removesuffix(".rdp") + ".dcv")
    forced = rdp_lines(portal.policy.redirection) if portal.policy else ()
    template = taken.choice.template if taken.choice.template.strip() else rdp.DEFAULT_RDP_TEMPLATE
    return File(rdp.rdp_file(template, values, forced), rdp.MEDIA_TYPE, name)


def way(launch: Launch, portal: PortalSession, taken: Taken, client_ip: str) -> dict[str, str]:
    """The tags that say where the file leads."""
    if taken.way is None:
        return {"PORT": str(taken.choice.reaches)}
    address, port = openings.port(launch, portal, taken, client_ip)
    return {"GATEWAY": address, "PORT": str(port)}
