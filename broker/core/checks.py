"""System checks of the settings (DESIGN 11): a misconfiguration is a line with an id and a hint, not a traceback."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def settings_make_sense(**_: Any) -> list[CheckMessage]:
    """All of the below."""
    return [*keys(), *addresses(), *dangers()]


def keys() -> Iterator[CheckMessage]:
    """The two secrets without which nothing is safe."""
    if len(settings.SECRET_KEY) < 32:
        yield Warning("USHER_SECRET_KEY is short.", hint="Use at least 50 random characters.", id="usher.W001")
    if not settings.ENCRYPTION_KEYS:
        yield Error("USHER_ENCRYPTION_KEYS is empty.", hint="Make one with: manage.py new_key", id="usher.E001")
    for number, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                f"Key {number} of USHER_ENCRYPTION_KEYS is no Fernet key.",
                hint="Make one with: manage.py new_key. Keep the old keys behind it.",
                id="usher.E002",
            )


def addresses() -> Iterator[CheckMessage]:
    """Hosts, proxies and the public address."""
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning("USHER_ALLOWED_HOSTS allows every host name.", hint="Name the broker's own.", id="usher.W002")
    for proxy in settings.TRUSTED_PROXIES:
        if not is_network(proxy):
            yield Error(
                f"USHER_TRUSTED_PROXIES: {proxy!r} is no address and no network.",
                hint="As in 10.0.0.5 or 10.0.0.0/24, comma separated.",
                id="usher.E003",
            )
    public = urlsplit(settings.PUBLIC_URL)
    if public.scheme not in {"http", "https"} or not public.hostname:
        yield Error(
            f"USHER_PUBLIC_URL is {settings.PUBLIC_URL!r}.", hint="As in https://desktops.example.com", id="usher.E004"
        )
    elif public.scheme == "http" and not is_loopback(public.hostname):
        yield Warning(
            "USHER_PUBLIC_URL is plain http: passwords would cross the network in the clear.",
            hint="Put a TLS front before the broker and use https.",
            id="usher.W003",
        )


def dangers() -> Iterator[CheckMessage]:
    """Switches that nobody leaves on by mistake without being told."""
    if settings.DEBUG:
        yield Warning("USHER_DANGEROUS_DEBUG is on.", hint="Error pages show settings and code.", id="usher.W004")


def is_network(text: str) -> bool:
    """Whether the text is an address or a network."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
