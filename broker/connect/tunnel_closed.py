"""After a way through a gateway has closed: what that means for the plans, and whether the desktop showed itself right.

An agent knows better what became of the session; without one, the closed connection is all that is known (SPEC 1.5).
"""

from datetime import datetime, timedelta

from broker.connect import pins, tunnels
from broker.connect.closing import connection_closed
from broker.connect.models import Launch
from broker.core.clock import now
from broker.core.jobs import Done, Kind, Later, Moot, Result
from broker.core.models import Job
from gateways.models import Tunnel

LOST = timedelta(minutes=10)  # a gateway that is silent for so long has taken its sessions along
LOOK_AGAIN = timedelta(seconds=30)


def run(job: Job) -> Result:
    """One closed way."""
    tunnel = Tunnel.objects.select_related("gateway").filter(pk=job.payload.get("tunnel") or 0).first()
    launch = tunnels.launch_of(tunnel) if tunnel else None
    if tunnel is None or launch is None:
        return Moot("Its launch is gone.")
    certificate_of(tunnel, launch)
    if tunnel.closed_at is None:
        return Moot("Its gateway is heard again: it is still open.")
    if tunnel.closed_by == Tunnel.By.SILENCE and now() < tunnel.closed_at + LOST:
        return Later("Its gateway is silent: nobody knows whether it is still open.", now() + LOOK_AGAIN)
    return ended(tunnel.closed_at, launch)


def ended(at: datetime, launch: Launch) -> Result:
    """The user is away, unless another way to the desktop is open: a reload, a resize, a second window."""
    if launch.assignment.closed_at is not None:
        return Done("The desktop is no longer theirs.")
    if tunnels.live(launch.desktop).exists():
        return Done("They are connected another way.")
    if connection_closed(launch.desktop, at):
        return Done("The connection is taken as closed: the plans in force say what follows.")
    return Done("The desktop's agent tells what becomes of the session.")


def certificate_of(tunnel: Tunnel, launch: Launch) -> None:
    """Remember the certificate of the first use, and say where it is another one now."""
    if not tunnel.certificate or tunnel.protocol == "tcp":
        return
    port = int(tunnel.destination.rpartition(":")[2])  # the launch may be connected another way by now
    known = pins.known(launch.desktop, port, tunnel.protocol)
    if known == tunnel.certificate:
        pins.shown_again(launch.desktop, port, tunnel)
    elif known:
        pins.differs(launch.desktop, port, tunnel.certificate, known)


KIND = Kind(run=run, lease=timedelta(seconds=30), deadline=timedelta(hours=1))
