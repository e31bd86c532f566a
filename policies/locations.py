"""Which location a client is in (SPEC 3.8): pure matching over what is known of the client."""

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from policies.models import Location

ATTRIBUTES: dict[str, str] = {
    "ip": "IP address",
    "client_type": "Client type",
    "os": "Operating system",
    "os_version": "OS version",
    "browser": "Browser",
    "device_type": "Device type",
    "manufacturer": "Manufacturer",
    "device": "Device id",
    "language": "Language",
    "gateway": "Gateway",
}


def inside(value: str, network: str) -> bool:
    """Whether an address lies in a network; what is no address lies in none."""
    try:
        return ip_address(value) in ip_network(network, strict=False)
    except ValueError:
        return False


def compared(value: str, text: str) -> int | None:
    """-1, 0, 1 by version order ("10.2" before "10.10"), or None where either is no number."""
    one, other = (re.findall(r"\d+", each) for each in (value, text))
    if not one or not other:
        return None
    left, right = [int(part) for part in one], [int(part) for part in other]
    return (left > right) - (left < right)


TESTS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda value, text: value == text,
    "ne": lambda value, text: value != text,
    "gt": lambda value, text: compared(value, text) == 1,
    "lt": lambda value, text: compared(value, text) == -1,
    "ct": lambda value, text: text in value,
    "nc": lambda value, text: text not in value,
    "bw": lambda value, text: value.startswith(text),
    "ew": lambda value, text: value.endswith(text),
    "cidr": inside,
    "ncidr": lambda value, text: not inside(value, text),
}


def holds(rule: Mapping[str, Any], client: Mapping[str, str]) -> bool:
    """Whether one rule is true of the client; comparison ignores case."""
    value = client.get(str(rule["attribute"]), "").lower()
    return TESTS[str(rule["condition"])](value, str(rule["value"]).strip().lower())


def matches(location: Location, client: Mapping[str, str]) -> bool:
    """Whether a client is in a location; one without rules holds nobody."""
    found = [holds(rule, client) for rule in location.rules]
    return bool(found) and (all(found) if location.match_all else any(found))


def of(client: Mapping[str, str], locations: Sequence[Location]) -> Location | None:
    """The first location that matches, or None: the client is in "All" only."""
    return next((location for location in locations if matches(location, client)), None)


BROWSERS = (("edg/", "Edge"), ("firefox/", "Firefox"), ("chrome/", "Chrome"), ("safari/", "Safari"))
SYSTEMS = (("iphone", "iOS"), ("ipad", "iOS"), ("android", "Android"), ("windows", "Windows"), ("mac os", "macOS"),
           ("cros", "ChromeOS"), ("linux", "Linux"))  # fmt: skip


def described(user_agent: str, address: str | None, language: str = "") -> dict[str, str]:
    """What a browser's request says of its client. All of it may be a lie, but for the address."""
    text = user_agent.lower()
    version = re.search(r"(?:windows nt|mac os x|android|os) ([\d._]+)", text)
    system = next((name for mark, name in SYSTEMS if mark in text), "")
    return {
        "ip": address or "",
        "client_type": "web",
        "os": system,
        "os_version": version.group(1).replace("_", ".") if version else "",
        "browser": next((name for mark, name in BROWSERS if mark in text), ""),
        "device_type": "mobile" if system in {"iOS", "Android"} or "mobile" in text else "desktop",
        "language": language.split(",")[0].strip(),
    }
