"""Setup > Gateways."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from broker.core import words
from broker.core.pages import Action, Pages, Refused
from gateways.forms import GatewayForm
from gateways.models import Gateway
from gateways.services import ask_for_check, check
from gateways.tables import GatewayTable


def check_now(request: HttpRequest, gateway: Gateway) -> str:
    """Ask it now, and say what it said."""
    said = check(gateway)
    gateway.refresh_from_db(fields=["state"])
    if gateway.state != Gateway.State.ONLINE:
        raise Refused(said)
    return said


class GatewayPages(Pages):
    """The way in for users outside of the desktops' network."""

    model, area = Gateway, "gateways"
    form, table = GatewayForm, GatewayTable
    title, add_label = "Gateways", "Add Gateway"
    intro = "Gateways stand between users outside and desktops in a private network."
    empty = "A gateway forwards display connections to desktops that users cannot reach themselves."
    search = ("name", "address", "address_private")
    form_template = "gateways/form.html"
    actions = {"check": Action("Check", check_now, help="Asks the gateway now whether it is there.")}

    @classmethod
    def in_use(cls, row: Gateway) -> list[tuple[str, str]]:
        """Protocol plans that name it, and what it forwards now."""
        plans = {choice.plan.pk: choice.plan for choice in row.choices.select_related("plan")}
        found = [(f"Protocol plan “{plan}”", reverse("protocol_plans:edit", args=[key])) for key, plan in plans.items()]
        opened = row.tunnels.filter(closed_at=None).count()
        return [*found, (words.count(opened, "open connection"), "")] if opened else found

    @classmethod
    def saved(cls, request: HttpRequest, row: Gateway, created: bool) -> None:
        """The check that repeats itself begins now."""
        ask_for_check(row)

    @classmethod
    def after_save(cls, row: Gateway) -> str:
        """Asked at once, outside the transaction, so that the list says how it is."""
        check(row)
        return cls.url("list")

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Its state, on its page."""
        return {"gateway": row} if row else {}
