"""What others may ask of gateways. Network where it says so: not inside a transaction."""

from datetime import datetime

from django.db.models import Max
from django.http import HttpRequest

from gateways.checks import ask_for_check, check, keep_checking
from gateways.choosing import Down, Way, choose
from gateways.closing import close_tunnels, users
from gateways.models import Gateway, Tunnel
from gateways.opening import Opened, new_id, open_tunnel, token_for

__all__ = [
    "Down", "Opened", "Way", "ask_for_check", "came_by", "check", "choose", "close_tunnels", "keep_checking", "new_id",
    "open_tunnel", "token_for", "traffic_since", "users",
]  # fmt: skip


def came_by(request: HttpRequest) -> Gateway | None:
    """The gateway that passed this request on, by its verified signature (gateways.middleware)."""
    found = getattr(request, "came_by", None)
    return found if isinstance(found, Gateway) else None


def traffic_since(*subjects: str) -> datetime | None:
    """When bytes last flowed through ways of these subjects ("launch:4") that are open; None: none did (RULES 20)."""
    flowing = Tunnel.objects.filter(subject__in=subjects, closed_at=None)
    last: datetime | None = flowing.aggregate(last=Max("last_traffic_at"))["last"]
    return last
