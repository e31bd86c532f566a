"""Addresses: where a request truly comes from (CONTRACTS 3, "Loopback rule")."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_X_USHER_GATEWAY",
)

# Where the gateways' middleware notes for whom a gateway asks, after it has verified the signature. Headers never come
# under such a name.
GATEWAY_CLIENT = "usher.gateway_client"


def client_address(request: HttpRequest) -> str | None:
    """The address of the person or machine that asks; headers count only from a trusted proxy or a known gateway."""
    if told := request.META.get(GATEWAY_CLIENT):
        return str(told)
    return client_behind(str(request.META.get("REMOTE_ADDR") or ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def client_behind(peer: str | None, forwarded_for: str) -> str | None:
    """The address behind the trusted proxies, from the peer's and the X-Forwarded-For header."""
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    while peer and hops and is_trusted(peer):
        peer = hops.pop()
    return peer if peer and is_address(peer) else None


def says_https(request: HttpRequest) -> bool:
    """Whether a trusted proxy says that the browser came to it by https."""
    told = request.META.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
    return told == "https" and is_trusted(str(request.META.get("REMOTE_ADDR") or ""))


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_trusted(address: str) -> bool:
    """Whether a peer is one of USHER_TRUSTED_PROXIES."""
    return is_address(address) and any(
        ip_address(address) in ip_network(network, strict=False) for network in settings.TRUSTED_PROXIES
    )


def from_loopback(request: HttpRequest) -> bool:
    """Sent from this very machine, and not passed on by a proxy that runs on it."""
    peer = str(request.META.get("REMOTE_ADDR") or "")
    proxied = any(header in request.META for header in FORWARDED)
    return is_address(peer) and ip_address(peer).is_loopback and not proxied
