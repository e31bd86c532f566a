"""A way through a gateway in words: by which protocol, for how long, how much, and who ended it."""

from datetime import datetime

from broker.core import words
from gateways.models import Tunnel
from plans.models import VIEWERS, ProtocolChoice

LABELS: dict[str, str] = {
    **{VIEWERS[each.value]: str(each.label) for each in ProtocolChoice.Protocol if each.value in VIEWERS},
    "tcp": "Forwarded port",
}


def seconds(row: Tunnel, now: datetime) -> int | None:
    """How long it was used, None where nobody came yet."""
    return None if row.used_at is None else max(int(((row.closed_at or now) - row.used_at).total_seconds()), 0)


def size(count: int) -> str:
    """Bytes as people read them: "3.2 MB"."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def sentence(row: Tunnel, now: datetime) -> str:
    """All of it, for a timeline: "from 192.0.2.7, for 12 minutes, 3.2 MB in, 20.1 MB out; ended by User: …"."""
    took = seconds(row, now)
    parts = [f"from {row.client_ip}"] if row.client_ip else []
    if took is None:
        parts.append("nobody has come")
    else:
        parts += [f"for {words.roughly(took)}", f"{size(row.bytes_in)} in, {size(row.bytes_out)} out"]
    by = f"ended by {row.get_closed_by_display().lower()}" if row.closed_by else "ended"
    ended = f"{by} {row.closed_at:%H:%M:%S} UTC: {row.close_reason}" if row.closed_at else "still open"
    return f"{', '.join(parts)}; {ended}"
