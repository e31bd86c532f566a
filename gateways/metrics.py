"""The gateways' figures in /metrics."""

from django.db.models import Count, Q, Sum
from prometheus_client import CollectorRegistry, Gauge

from gateways.models import Gateway, Tunnel


def measure(registry: CollectorRegistry) -> None:
    """Each gateway: is it there, what does it carry, how many ports are left; and the bytes of what is open."""
    made = {
        name: Gauge(f"usher_gateway_{name}", words, ["gateway"], registry=registry)
        for name, words in (
            ("up", "1 where the gateway is there and speaks to us"),
            ("draining", "1 where it takes no new connections"),
            ("ports_free", "Ports that it can still open"),
            ("sessions", "Sessions that somebody uses, by our records"),
            ("sessions_waiting", "Openings that nobody uses yet"),
            ("open_bytes", "Bytes that the open sessions have carried, both ways"),
        )
    }
    opened = Q(tunnels__closed_at=None, tunnels__pk__isnull=False)
    rows = Gateway.objects.annotate(
        used=Count("tunnels", filter=opened & Q(tunnels__used_at__isnull=False)),
        waiting=Count("tunnels", filter=opened & Q(tunnels__used_at=None)),
        carried=Sum("tunnels__bytes_in", filter=opened) + Sum("tunnels__bytes_out", filter=opened),
    )
    for row in rows:
        figures = (row.is_up, row.draining, row.ports_free, row.used, row.waiting, row.carried or 0)
        for gauge, figure in zip(made.values(), figures, strict=True):
            gauge.labels(row.name).set(figure)
    untold = Gauge("usher_gateway_untold", "Closed sessions of which a gateway has not heard yet", registry=registry)
    untold.set(Tunnel.objects.filter(closed_at__isnull=False, told_at=None, gateway__isnull=False).count())
