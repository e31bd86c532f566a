"""Host names and IP addresses that people type into forms."""

import re

from broker.core.net import is_address

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def name_problem(text: str) -> str:
    """An empty text where `text` is a host name or an IP address, else why not, in words."""
    if "/" in text:
        return f"“{text}” is a web address. The name or the IP address alone is wanted, without https:// and path."
    if is_address(text):
        return ""
    labels = text.rstrip(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return f"“{text}” is neither a host name nor an IP address."
    if labels[-1].isdigit():
        return f"“{text}” is not an IP address."
    return ""


def with_port(text: str, port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:8443`, `::1` or `[::1]:8443`. Raises ValueError for a port that is none."""
    if is_address(text):
        return text, port
    host, colon, number = text.rpartition(":")
    if not colon:
        return text.strip("[]"), port
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise ValueError(f"“{number}” is not a port.")
    return host.strip("[]"), int(number)
