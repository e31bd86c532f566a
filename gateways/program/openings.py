"""Whether an opening makes sense: the broker is obeyed, but a mistake of its should not become a strange session."""

import ipaddress
from collections.abc import Mapping
from typing import Any, get_args

from gateways.wire import Clipboard, Opening, Protocol

DAY = 86_400


def read_opening(told: Mapping[str, Any]) -> Opening:
    """The opening of a verified call. Raises ValueError, which says what is wrong with it."""
    opening = Opening.from_json(told)
    for right, words in rules(opening):
        if not right:
            raise ValueError(words)
    ipaddress.ip_address(opening.host)  # an address, never a name (RULES 3); its ValueError says so
    if opening.client_ip:
        ipaddress.ip_address(opening.client_ip)
    return opening


def rules(opening: Opening) -> tuple[tuple[bool, str], ...]:
    """What has to be true of it, in words."""
    return (
        (0 < len(opening.id) <= 200, "id must have 1 to 200 letters"),
        (opening.protocol in get_args(Protocol), "protocol must be one of " + ", ".join(get_args(Protocol))),
        (0 < opening.port < 65_536, "port must be from 1 to 65535"),
        (0 < opening.seconds <= DAY, f"seconds must be from 1 to {DAY}"),
        (opening.longest >= 0, "longest must not be negative"),
        (opening.clipboard in get_args(Clipboard), "clipboard must be one of " + ", ".join(get_args(Clipboard))),
        (opening.protocol == "tcp" or opening.origin != "", "origin must be given for a viewer"),
        (0 < opening.connections <= 1_000, "connections must be from 1 to 1000"),
        (0 <= opening.listen < 65_536, "listen must be from 0 to 65535"),
    )
