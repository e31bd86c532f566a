"""Which headers pass between browser and broker, and what becomes of those that name either of them. Pure."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from multidict import CIMultiDict

# RFC 9110 7.6.1, and what browsers' clients have made of it: they are about one connection.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
HOP_BY_HOP |= {"proxy-authenticate", "proxy-authorization"}
OURS_TO_SAY = {"host", "forwarded", "via", "expect", "x-real-ip", "x-client-ip", "true-client-ip"}
OURS_PREFIXES = ("x-forwarded-", "x-usher-")
ADDRESSES = {"location", "content-location", "hx-redirect", "hx-location", "hx-push-url", "hx-replace-url"}
COOKIE_DOMAIN = re.compile(r";\s*domain=([^;]*)", re.IGNORECASE)
Pairs = Iterable[tuple[str, str]]


def to_broker(sent: Pairs) -> CIMultiDict[str]:
    """What of a browser's headers the broker gets. Nothing that tells who and where the browser is: that we do.

    A name with `_` is dropped, as WSGI would take it for the one with `-`.
    """
    sent = list(sent)
    hops = HOP_BY_HOP | named_hops(sent)
    return CIMultiDict(
        (name, value)
        for name, value in sent
        if (low := name.lower()) not in hops
        and low not in OURS_TO_SAY
        and not low.startswith(OURS_PREFIXES)
        and "_" not in name
    )


def to_browser(sent: Pairs, broker: str, here: str) -> CIMultiDict[str]:
    """What of the broker's headers the browser gets. `broker` and `here`: the two origins, such as "https://a:8443"."""
    sent = list(sent)
    dropped = HOP_BY_HOP | named_hops(sent) | {"server"}
    return CIMultiDict(
        (name, changed(name.lower(), value, broker, here)) for name, value in sent if name.lower() not in dropped
    )


def named_hops(sent: Iterable[tuple[str, str]]) -> set[str]:
    """Headers that `Connection` declares to be about the connection."""
    return {each.strip().lower() for name, value in sent if name.lower() == "connection" for each in value.split(",")}


def changed(name: str, value: str, broker: str, here: str) -> str:
    """A header's value as it is true at the gateway."""
    if name in ADDRESSES:
        return address(value, broker, here)
    if name == "set-cookie":
        host = (urlsplit(broker).hostname or "").lower()
        return COOKIE_DOMAIN.sub(lambda found: "" if found[1].strip(" .").lower() == host else found[0], value)
    return value


def address(value: str, broker: str, here: str) -> str:
    """A whole address at the broker becomes one at the gateway; all others stay."""
    try:
        parts = urlsplit(value)
        same = parts.scheme in ("http", "https") and parts.netloc.lower() == urlsplit(broker).netloc
    except ValueError:
        return value
    return here + value[len(parts.scheme) + len("://") + len(parts.netloc) :] if same else value
