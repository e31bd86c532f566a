"""Which gateway carries a connection: the one that a plan names, or a member of its cluster (SPEC 2.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from broker.core import words
from broker.core.addresses import with_port
from gateways.models import Gateway, GatewayCluster

Balance = GatewayCluster.Balance
HTTPS = 443


class Down(Exception):
    """No gateway can carry a connection now; the text says why, for the person who waits."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where a connection goes through: opened at all of `gateways`, else at the first of `spare` that takes it."""

    gateways: tuple[Gateway, ...]
    address: str  # the public one, as an administrator typed it: with :port where the viewer's is not 443
    use_src_ip: int
    spare: tuple[Gateway, ...] = ()

    @property
    def redeem(self) -> bool:
        """Whether a token is good at several gateways, so that each asks the broker before it opens."""
        return len(self.gateways) > 1

    @property
    def host(self) -> str:
        """The public name or address alone, as for an .rdp file."""
        return host(self.address)


def host(address: str) -> str:
    """The name or address alone of what an administrator typed."""
    return with_port(address, HTTPS)[0]


def netloc(address: str) -> str:
    """Host and port as a browser's address names them."""
    name, port = with_port(address, HTTPS)
    written = f"[{name}]" if ":" in name else name
    return written if port == HTTPS else f"{written}:{port}"


def choose(through: Gateway | GatewayCluster, came_by: Gateway | None = None) -> Way:
    """The way through a gateway or a cluster, for somebody who signed in by `came_by`. Raises Down."""
    if isinstance(through, Gateway):
        return alone(Gateway.objects.get(pk=through.pk))
    members = by_load(through)
    up = [each for each in members if not why_not(each)]
    if not up:
        raise Down(nobody(through, members))
    if through.balance == Balance.ALL:
        return Way(tuple(up), through.address or up[0].address, through.use_src_ip)
    mine = [each for each in up if came_by and each.pk == came_by.pk and through.balance == Balance.SIGN_IN]
    ranked = [*mine, *(each for each in up if each not in mine)]
    return Way((ranked[0],), ranked[0].address, through.use_src_ip, tuple(ranked[1:]))


def alone(gateway: Gateway) -> Way:
    """The way through one gateway. Raises Down."""
    if why := why_not(gateway):
        raise Down(f"The gateway {gateway}, through which your connection goes, {why}.")
    return Way((gateway,), gateway.address, gateway.use_src_ip)


def why_not(gateway: Gateway) -> str:
    """Why a gateway takes no new connection, "" where it does; ends a sentence that names the gateway."""
    if not gateway.public_key:
        return "is not registered with the broker"
    if not gateway.is_up:
        return "does not answer"
    return "is being shut down and takes no new connections" if gateway.draining else ""


def nobody(cluster: GatewayCluster, members: Sequence[Gateway]) -> str:
    """Why a cluster carries nothing."""
    if not members:
        return f"The gateway cluster {cluster}, through which your connection goes, has no gateways."
    each = words.listed(f"{member} {why_not(member)}" for member in members)
    return f"No gateway of the cluster {cluster}, through which your connection goes, can be used: {each}."


def by_load(cluster: GatewayCluster) -> list[Gateway]:
    """Its members, those with the fewest connections first; what waits to be used counts."""
    opened = Count("tunnels", filter=Q(tunnels__closed_at=None))
    return list(cluster.gateways.annotate(opened=opened).order_by("opened", "pk"))
