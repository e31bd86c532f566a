"""Resources > Desktops, declared."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from broker.core.pages import Action, Pages
from broker.resources.desktops import actions, agent_actions
from broker.resources.desktops.filters import DesktopFilter
from broker.resources.desktops.forms import DesktopForm
from broker.resources.desktops.page_facts import facts
from broker.resources.desktops.rows import AgentAxis, agent_axis, desktops, holding, live, waiting_agents
from broker.resources.desktops.tables import DesktopTable
from centers.models import Desktop
from centers.providers.base import PowerOp

Availability = Desktop.Availability


def address(name: str) -> Any:
    """The address of a page of one desktop, as an action wants it."""
    return lambda row: reverse(f"desktops:{name}", args=[row.pk])


class DesktopPages(Pages):
    """Every WorkSpace of every center."""

    model, area, form, table, filterset = Desktop, "desktops", DesktopForm, DesktopTable, DesktopFilter
    title = "Desktops"
    intro = "Every desktop of every center: its power, its agent, whether it is offered, whose it is, and who is on it."
    empty = "Desktops appear here when a center is scanned, or when you deploy an image from a center."
    search = [
        "name",
        "display_name",
        "ref",
        "address",
        "bound_user",
        "holding__user__login",
        "holding__user__display_name",
    ]
    can_delete = False
    form_template = "resources/desktop.html"
    actions = {
        "start": Action("Start", actions.power_action(PowerOp.START, "Start"), bulk=True, applies=actions.present),
        "shutdown": Action(
            "Shut down",
            actions.power_action(PowerOp.STOP, "Shut down"),
            bulk=True,
            danger=True,
            confirm=actions.question("logs the user out and shuts down"),
            applies=actions.present,
        ),
        "power_off": Action(
            "Power off",
            actions.power_action(PowerOp.STOP, "Power off", hard=True),
            bulk=True,
            danger=True,
            confirm=actions.question("stops, without logging anybody out,"),
            applies=actions.present,
        ),
        "reboot": Action(
            "Reboot",
            actions.power_action(PowerOp.REBOOT, "Reboot"),
            bulk=True,
            danger=True,
            confirm=actions.question("reboots"),
            applies=actions.present,
        ),
        "release": Action(
            "Release",
            actions.on_a_form("release"),
            permission="execute",
            bulk=True,
            danger=True,
            applies=lambda row: holding(row) is not None,
        ),
        "logout": Action(
            "Log out user",
            actions.log_out,
            permission="execute",
            bulk=True,
            danger=True,
            confirm=actions.question("logs out everybody on"),
            applies=lambda row: bool(live(row)),
        ),
        "message": Action(
            "Send message",
            actions.on_a_form("message"),
            permission="execute",
            bulk=True,
            applies=lambda row: bool(live(row)),
        ),
        "clear": Action(
            "Clear stuck session",
            actions.clear_session,
            permission="execute",
            bulk=True,
            confirm="The broker forgets these sessions. Do this only if the machine is known to have nobody on it.",
            applies=lambda row: bool(live(row)) and agent_axis(row) is not AgentAxis.REACHABLE,
        ),
        "assign": Action("Assign to user", url=address("assign"), applies=actions.present),
        "bulk_assign": Action(
            "Assign to users", actions.to_bulk_assign, bulk=True, only_bulk=True, applies=actions.present
        ),
        "available": Action(
            "Make available",
            actions.make_available,
            bulk=True,
            applies=lambda row: row.availability == Availability.UNAVAILABLE,
        ),
        "unavailable": Action(
            "Make unavailable",
            actions.on_a_form("unavailable"),
            bulk=True,
            applies=lambda row: row.availability == Availability.AVAILABLE,
        ),
        "tag": Action("Tags", actions.on_a_form("tags"), bulk=True),
        "note": Action("Add note", actions.on_a_form("note"), bulk=True),
        "refresh": Action("Refresh status", actions.refresh, permission="execute", applies=actions.present),
        "manual": Action(
            "Set running mode to Manual",
            actions.to_manual,
            bulk=True,
            confirm="Power plans then decide when it runs. AWS bills a monthly WorkSpace by the hour from next month.",
            applies=lambda row: actions.present(row) and row.running_mode in {"AUTO_STOP", actions.ALWAYS_ON},
        ),
        "trust": Action(
            "Trust its new certificate",
            actions.trust,
            danger=True,
            confirm="It shows another certificate than before: renewed, or another machine answers in its place. "
            "Whatever it shows at the next connection is trusted from then on.",
            applies=lambda row: bool(getattr(row, "other_certificate", False)),
        ),
        **agent_actions.ACTIONS,
        "log": Action("View log", url=lambda row: f"{reverse('log:list')}?desktop=desktop:{row.pk}", permission="view"),
        "delete_disk": Action(
            "Delete from disk",
            actions.delete_from_disk,
            url=address("delete_disk"),
            bulk=True,
            danger=True,
            confirm=actions.losses,
            ask="delete",
            applies=lambda row: row.deletable and actions.present(row),
        ),
        "delete_list": Action(
            "Delete from list",
            actions.delete_from_list,
            bulk=True,
            danger=True,
            confirm="The rows and their assignment history go; the log keeps what happened. AWS is not touched.",
            applies=lambda row: (
                row.availability in {Availability.DELETED, Availability.MISSING} or actions.never_made(row)
            ),
        ),
    }

    @classmethod
    def queryset(cls) -> QuerySet[Any]:
        """Desktops with all that a row shows."""
        return desktops()

    @classmethod
    def links(cls, request: HttpRequest) -> list[tuple[str, str]]:
        """The agents that match no desktop yet."""
        count = waiting_agents().count()
        found = [(f"Waiting agents ({count})" if count else "Waiting agents", reverse("desktops:waiting"))]
        if request.user.has_perm("desktops.edit"):
            found.append(("Assign from CSV", reverse("desktops:bulk_assign")))
        return found

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The rest of a desktop's page."""
        return facts(request, row) if row is not None else {}

    @classmethod
    def after_save(cls, row: Any) -> str:
        """Back to its page, where the effect stands."""
        return cls.page_url(row)
