"""Failed sign-ins: 5 per user and address, 50 per address, in 15 minutes (CONTRACTS 3, Sign-in).

A try is written down before the password is looked at, and forgotten when it was right: tries sent all at once count
each other.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from broker.core.clock import now
from broker.core.models import Attempt

WINDOW = timedelta(minutes=15)
PER_USER = 5
PER_ADDRESS = 50


def begun(login: str, address: str | None) -> Attempt:
    """Write a try down, as a failure until it is forgotten."""
    return Attempt.objects.create(login=login.strip().lower()[:200], address=address or "", at=now())


def forget(attempt: Attempt) -> None:
    """It was no failure."""
    Attempt.objects.filter(pk=attempt.pk).delete()


def wait(attempt: Attempt) -> timedelta | None:
    """How long this person at this address has to wait, or None where the try is free. One statement."""
    name = attempt.login
    recent = Attempt.objects.filter(address=attempt.address, at__gt=now() - WINDOW).exclude(pk=attempt.pk)
    seen: dict[str, Any] = recent.aggregate(
        user=Count("pk", filter=Q(login=name)),
        user_first=Min("at", filter=Q(login=name)),
        all=Count("pk"),
        all_first=Min("at"),
    )
    if seen["user"] >= PER_USER:
        return until_free(seen["user_first"])
    if seen["all"] >= PER_ADDRESS:
        return until_free(seen["all_first"])
    return None


def until_free(first: datetime) -> timedelta:
    """Until the oldest failure that counts has grown too old."""
    return max(first + WINDOW - now(), timedelta(seconds=1))


def forget_old() -> int:
    """Housekeeping; returns how many."""
    return Attempt.objects.filter(at__lte=now() - WINDOW).delete()[0]
