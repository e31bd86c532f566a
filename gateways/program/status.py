"""What the gateway tells about itself: the Status of the wire, and /metrics."""

from collections.abc import Iterable
from typing import Any

from gateways.program import VERSION
from gateways.program.house import House
from gateways.program.registry import Refusal
from gateways.program.sessions import Session


def status(house: House, closed: Iterable[Session], refused: Iterable[Refusal]) -> dict[str, Any]:
    """The body of hello and heartbeat, with these endings and refusals."""
    return {
        "version": VERSION,
        "started_at": house.figures.started_at,
        "draining": house.registry.draining,
        "ports_free": house.ports.free,
        "certificate": house.figures.certificate,
        "sessions": [told(each) for each in house.registry.live()],
        "closed": [
            {**told(each), "closed_at": each.closed_at, "reason": each.reason, "by": each.by} for each in closed
        ],
        "refused": [
            {"at": each.at, "why": each.why, "client_ip": each.client_ip, "id": each.id, "number": each.number}
            for each in refused
        ],
    }


def told(session: Session) -> dict[str, Any]:
    """One session."""
    return {
        "id": session.id,
        "used_at": session.used_at,
        "client_ip": session.client_ip,
        "port": session.port,
        "bytes_in": session.bytes_in,
        "bytes_out": session.bytes_out,
        "connections": session.connections,
        "certificate": session.certificate,
    }


def metrics(house: House) -> str:
    """In the text format of Prometheus."""
    live, figures, totals = house.registry.live(), house.figures, house.registry.totals
    lines = [
        gauge("usher_gateway_up_seconds", house.clock() - house.figures.started_at),
        gauge("usher_gateway_draining", int(house.registry.draining)),
        gauge("usher_gateway_broker_reachable", int(figures.broker_reachable)),
        gauge("usher_gateway_ports_free", house.ports.free),
        gauge("usher_gateway_browser_connections", figures.browsers()),
        *by_protocol("usher_gateway_sessions", (each for each in live if each.used_at)),
        *by_protocol("usher_gateway_sessions_waiting", (each for each in live if not each.used_at)),
        counter("usher_gateway_sessions_ended_total", totals.ended),
        counter("usher_gateway_sessions_refused_total", totals.refused),
        counter("usher_gateway_ports_refused_total", house.ports.refused),
        counter("usher_gateway_bytes_in_total", totals.bytes_in + sum(each.bytes_in for each in live)),
        counter("usher_gateway_bytes_out_total", totals.bytes_out + sum(each.bytes_out for each in live)),
        counter("usher_gateway_pages_total", figures.pages),
        counter("usher_gateway_pages_failed_total", figures.pages_failed),
    ]
    return "".join(lines)


def gauge(name: str, value: float) -> str:
    """A figure that goes up and down."""
    return f"# TYPE {name} gauge\n{name} {value}\n"


def counter(name: str, value: int) -> str:
    """A figure that only grows."""
    return f"# TYPE {name} counter\n{name} {value}\n"


def by_protocol(name: str, sessions: Iterable[Session]) -> list[str]:
    """How many of each protocol; those with none too."""
    counts = dict.fromkeys(("rdp", "screen", "vnc", "ssh", "tcp"), 0)
    for each in sessions:
        counts[each.opening.protocol] += 1
    return [f"# TYPE {name} gauge\n", *(f'{name}{{protocol="{each}"}} {n}\n' for each, n in counts.items())]
