"""What others may ask of centers: a provider to talk to, and the few columns of a desktop that others decide."""

from datetime import timedelta

from broker.core.clock import now
from broker.core.db import assert_outside
from broker.core.fields import UnreadableSecret, secret
from broker.core.jobs import Wish, enqueue
from broker.core.models import Job, ref
from centers.models import Center, Desktop
from centers.providers import PROVIDERS
from centers.providers.base import Provider, ProviderConfig, ProviderError

WISH_LASTS = timedelta(minutes=10)  # after this the observed state is believed again (RULES 24)


def provider(center: Center) -> Provider:
    """The center's provider; each of its calls refuses to run inside a transaction. Raises ProviderError."""
    try:
        secret_key = secret(center, "secret_key")
    except UnreadableSecret as error:
        raise ProviderError(str(error)) from error
    config = ProviderConfig(
        region=center.region,
        directory_id=center.directory_id,
        auth=center.auth,
        access_key=str(center.config.get("access_key", "")),
        secret_key=secret_key,
        role_arn=str(center.config.get("role_arn", "")),
        external_id=str(center.config.get("external_id", "")),
        proxy=str(center.config.get("proxy", "")),
    )
    return PROVIDERS[center.kind](config, guard=assert_outside)


def mark_lent(desktop_id: int) -> bool:
    """Take a free desktop; False where somebody else was first. This update decides the race (CONTRACTS 5.1).

    It also says when the desktop was last offered to somebody, which the order "least recently offered" asks.
    """
    free = Desktop.objects.filter(pk=desktop_id, lent=False).exclude(wish="delete", wish_until__gt=now())
    return bool(free.exclude(availability=Desktop.Availability.DELETED).update(lent=True, offered_at=now()))


def mark_free(desktop_id: int) -> None:
    """Give a desktop back."""
    Desktop.objects.filter(pk=desktop_id).update(lent=False)


def wish_for(desktop_id: int, wish: str) -> None:
    """Remember what we asked of AWS, beside what is observed (RULES 24)."""
    asked = now()
    Desktop.objects.filter(pk=desktop_id).update(wish=wish, wish_at=asked, wish_until=asked + WISH_LASTS)


def wish_ended(desktop_id: int) -> None:
    """The wish came true, or was given up."""
    Desktop.objects.filter(pk=desktop_id).update(wish="", wish_at=None, wish_until=None)


def port_seen(desktop_id: int, trouble: str) -> None:
    """What the last probe of the viewer port came to; "" where it answered. A policy's backup pool asks for it."""
    Desktop.objects.filter(pk=desktop_id).update(port_checked_at=now(), port_trouble=trouble[:255])


def ask_for_scan(center: Center) -> Job:
    """A scan as soon as a worker is free; while one is pending it is that one, only sooner."""
    return enqueue(Wish("poll", ref(center), center.name, key=f"poll:{center.pk}"))
