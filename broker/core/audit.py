"""The log: every step, every change, with who, what, from where (System > Log)."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import models

from broker.core.clock import now
from broker.core.context import current
from broker.core.models import LogEntry, ref

Changes = Mapping[str, tuple[Any, Any]]


def record(  # noqa: PLR0913 - one keyword for each column that a caller may know
    event: str,
    message: str,
    *,
    actor: Any = None,
    subject: models.Model | None = None,
    user: Any = None,
    desktop: Any = None,
    pool: str = "",
    level: str = "information",
    changes: Changes | None = None,
) -> LogEntry:
    """Write one line of the log in the caller's transaction.

    `event` is a name of SPEC 13.6; `changes` maps a field to (before, after) and never carries a secret: callers say
    ("set", "replaced"). Without an `actor` the one of the current request or job stands.
    """
    work = current()
    return LogEntry.objects.create(
        at=now(),
        level=level,
        event=event,
        message=message,
        actor_id=actor.pk if actor else work.actor_id,
        actor_name=str(actor) if actor else work.actor_name,
        subject=ref(subject) if subject else "",
        subject_name=str(subject)[:200] if subject else "",
        user_ref=ref(user) if user else "",
        user_name=str(user)[:200] if user else "",
        desktop_ref=ref(desktop) if desktop else "",
        desktop_name=str(desktop)[:200] if desktop else "",
        pool_name=pool,
        changes={name: [plain(before), plain(after)] for name, (before, after) in (changes or {}).items()},
        client_ip=work.client_ip,
        node=settings.NODE,
        correlation_id=work.correlation_id,
    )


def plain(value: Any) -> Any:
    """A value as JSON can keep it."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | models.QuerySet):
        return [plain(item) for item in value]
    return str(value)
