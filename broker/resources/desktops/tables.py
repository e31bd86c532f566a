"""The columns of Resources > Desktops: five axes, kept apart."""

from typing import Any

import django_tables2 as tables
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from broker.connect.future import Reader, unless
from broker.connect.states import Axis
from broker.core.tables import BriefColumn, LinkColumn, NameColumn, PageTable, StatusColumn, TimeColumn
from broker.core.templatetags.usher import at, badge, status
from broker.resources.desktops.rows import AgentAxis, agent_axis, holding, lasting, listed, live, next_due, session_axis
from broker.resources.desktops.why import sentence, switches, why
from centers.models import Desktop
from plans.words import DO
from pools.models import Assignment

POWER = {
    "running": "running",
    "stopped": "stopped",
    "starting": "moving",
    "stopping": "moving",
    "maintenance": "warning",
    "unhealthy": "problem",
    "suspended": "warning",
    "error": "problem",
    "deleting": "moving",
    "unknown": "unknown",
}
AVAILABILITY = {"available": "running", "unavailable": "stopped", "missing": "problem", "deleted": "stopped"}
AGENT = {
    AgentAxis.NEVER: ("unknown", "Never seen"),
    AgentAxis.REACHABLE: ("running", "Reachable"),
    AgentAxis.UNREACHABLE: ("warning", "Unreachable"),
}
SESSION = {
    Axis.NONE: ("stopped", "None"),
    Axis.CONNECTED: ("running", "Connected"),
    Axis.IDLE: ("warning", "Idle"),
    Axis.LOCKED: ("warning", "Locked"),
    Axis.DISCONNECTED: ("stopped", "Disconnected"),
}


def power_note(row: Desktop) -> str:
    """AWS's own word, and since when."""
    return f"{row.raw_state}{lasting(row.power_since)}" if row.raw_state else ""


def agent_word(row: Desktop) -> SafeString:
    """The agent axis; the sentence says since when."""
    kind, word = AGENT[agent_axis(row)]
    return status(kind, word)


def session_word(row: Desktop) -> SafeString:
    """The session axis with who it is."""
    kind, word = SESSION[session_axis(row)]
    return status(kind, word, listed(live(row)))


def told(row: Desktop) -> SafeString:
    """The sentence of `why.py` with the time of what comes next in the reader's zone."""
    found = next_due(row)
    if found is None:
        return format_html("{}", sentence(row))
    due, held = found
    owner = holding(row)
    after = unless(due, Reader(str(owner.user) if owner else "somebody"))
    rest = switches(row)
    return format_html(
        "{} Next: {} {}{}{}.{}", why(row), at(due.at), DO[due.do], after, f" ({held})" if held else "",
        f" {rest}" if rest else "",
    )  # fmt: skip


def holder(assignment: Assignment | None) -> SafeString:
    """Whose desktop it is, and how firmly."""
    if assignment is None:
        return format_html('<span class="muted">{}</span>', "Nobody")
    hard = assignment.kind == Assignment.Kind.HARD
    url = reverse("users:edit", args=[assignment.user_id])
    return format_html(
        '<a href="{}">{}</a> {}', url, assignment.user, badge("hard" if hard else "policy", "info" if hard else "")
    )


class DesktopTable(PageTable):
    """One row a desktop."""

    optional = ("center", "address", "running_mode", "why", "last_used_at")

    name = NameColumn(verbose_name="Name", attrs={"td": {"class": "host"}})
    display_name = tables.Column(verbose_name="Display name", empty_values=(), attrs={"td": {"class": "wide"}})
    center = LinkColumn(lambda row: reverse("centers:edit", args=[row.center_id]), order_by="center__name")
    power = StatusColumn(POWER, note=power_note, verbose_name="Power")
    agent = tables.Column(verbose_name="Agent", empty_values=(), order_by="agent__last_seen")
    availability = StatusColumn(AVAILABILITY, note=lambda row: row.unavailable_reason, verbose_name="Availability")
    assigned = tables.Column(verbose_name="Assigned Users", empty_values=(), order_by="holding__user__login")
    session = tables.Column(verbose_name="Session", empty_values=(), orderable=False)
    address = BriefColumn(verbose_name="Address")
    running_mode = tables.Column(verbose_name="Running mode")
    why = tables.Column(verbose_name="Why, and what next", empty_values=(), orderable=False)
    last_used_at = TimeColumn(verbose_name="Last used")

    def render_display_name(self, record: Desktop) -> SafeString:
        """What people see it as; below it why it is not offered, and what comes next."""
        mark = badge("AUTO_STOP", "warn") if record.running_mode == "AUTO_STOP" else ""
        return format_html(
            '{} {}<div class="tile-note">{}</div>', record.display_name or record.name, mark, told(record)
        )

    def value_display_name(self, record: Desktop) -> str:
        """The name alone in files."""
        return record.display_name

    def value_center(self, record: Desktop) -> str:
        """The name in files."""
        return str(record.center)

    def render_agent(self, record: Desktop) -> SafeString:
        """Never seen, reachable, unreachable."""
        return agent_word(record)

    def value_agent(self, record: Desktop) -> str:
        """The word alone in files."""
        return AGENT[agent_axis(record)][1]

    def render_assigned(self, record: Desktop) -> SafeString:
        """The user and how firmly."""
        return holder(holding(record))

    def value_assigned(self, record: Desktop) -> str:
        """The login in files."""
        found = holding(record)
        return found.user.login if found else ""

    def render_session(self, record: Desktop) -> SafeString:
        """Who is on it."""
        return session_word(record)

    def value_session(self, record: Desktop) -> str:
        """The word alone in files."""
        return SESSION[session_axis(record)][1]

    def render_address(self, record: Desktop, value: Any) -> str:
        """Where connections go."""
        return record.destination

    def render_running_mode(self, value: str) -> SafeString | str:
        """AUTO_STOP is badged: AWS stops such machines by itself (RULES 27)."""
        words = {"MANUAL": "Manual", "ALWAYS_ON": "Always On"}
        return badge("AUTO_STOP", "warn") if value == "AUTO_STOP" else words.get(value, value)

    def value_running_mode(self, value: str) -> str:
        """AWS's own word in files."""
        return value

    def render_why(self, record: Desktop) -> SafeString:
        """One sentence."""
        return format_html('<span class="muted">{}</span>', told(record))

    def value_why(self, record: Desktop) -> str:
        """The sentence in files."""
        return sentence(record)
