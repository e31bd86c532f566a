"""What a desktop's page shows around its form: axes, plans, future, sessions, history, log, agent."""

from typing import Any

from django.db.models import BooleanField, Case, Q, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from broker.connect import outlook, pins, plans_in_force
from broker.connect.models import DesktopSession
from broker.core.models import LogEntry, ref
from broker.core.templatetags.usher import status
from broker.resources.desktops.rows import agent_axis, agent_of, holding
from broker.resources.desktops.tables import AVAILABILITY, POWER, agent_word, holder, power_note, session_word, told
from centers.models import Desktop
from pools import rules
from pools.models import Pool

SKEW_SHOWN = 60  # seconds (RULES 18)
HISTORY = 20


def facts(request: HttpRequest, row: Desktop) -> dict[str, Any]:
    """Everything but the form."""
    agent = agent_of(row)
    log = LogEntry.objects.filter(desktop_ref=ref(row)).order_by("-at", "-pk")[:HISTORY]
    return {
        **what_next(request, row),
        "sentence": told(row),
        "axes": axes(row),
        "sessions": DesktopSession.objects.filter(desktop=row).select_related("user").order_by("-started_at")[:HISTORY],
        "history": row.assignments.select_related("user", "pool").order_by("-pk")[:HISTORY],
        "log": log if request.user.has_perm("log.view") else None,
        "log_address": f"?desktop={ref(row)}",
        "agent": agent,
        "agent_axis": agent_axis(row),
        "skewed": agent is not None and abs(agent.skew_seconds) > SKEW_SHOWN,
        "pools": pools_with(row),
        "certificates": pins.changes(row) if getattr(row, "other_certificate", False) else [],
    }


def what_next(request: HttpRequest, row: Desktop) -> dict[str, Any]:
    """The plans in force and the future that they make; what the page asks for again and again."""
    in_force = plans_in_force.of(row, holding(row))
    return {
        "object": row,
        "in_force": in_force,
        "outlook": outlook.of(row, holding(row), in_force),
        "may_run_jobs": request.user.has_perm("jobs.edit"),
        "back": reverse("desktops:edit", args=[row.pk]),
    }


def axes(row: Desktop) -> list[tuple[str, SafeString]]:
    """The five axes, kept apart (DESIGN 4)."""
    return [
        ("Power", status(POWER.get(row.power, "unknown"), row.get_power_display(), power_note(row))),
        ("Agent", agent_word(row)),
        (
            "Availability",
            status(AVAILABILITY[row.availability], row.get_availability_display(), row.unavailable_reason),
        ),
        ("Assigned Users", holder(holding(row))),
        ("Session", session_word(row)),
    ]


def pools_with(row: Desktop) -> list[Pool]:
    """The pools that hold it: one statement for all of them."""
    pools = {pool.pk: pool for pool in Pool.objects.all()}
    inside = [
        Case(When(rules.condition(pool, pools) & ~Q(availability="deleted"), then=Value(True)), default=Value(False),
             output_field=BooleanField())
        for pool in pools.values()
    ]  # fmt: skip
    found = Desktop.objects.filter(pk=row.pk).values_list(*inside).first() if inside else ()
    return [pool for pool, yes in zip(pools.values(), found or (), strict=True) if yes]
