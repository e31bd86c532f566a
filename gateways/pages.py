"""Setup > Gateways."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from broker.core import words
from broker.core.pages import Action, Pages, Refused
from gateways import checks, registration
from gateways.client import Trouble
from gateways.forms import GatewayForm
from gateways.models import Gateway, GatewayCluster
from gateways.tables import GatewayTable


def check_now(request: HttpRequest, gateway: Gateway) -> str:
    """Ask it now, and say what it said."""
    said = checks.check(gateway)
    gateway.refresh_from_db(fields=["state"])
    if gateway.state != Gateway.State.ONLINE:
        raise Refused(said)
    return said


def repin(request: HttpRequest, gateway: Gateway) -> str:
    """Trust what it shows now, because somebody has compared it."""
    key = gateway.key_shown or gateway.public_key
    try:
        registration.repin(gateway, key, gateway.certificate_shown or gateway.certificate_sha256)
    except Trouble as error:
        raise Refused(str(error)) from error
    return check_now(request, gateway)


def what_is_pinned(rows: Sequence[Gateway]) -> str:
    """The question before a new key or certificate is trusted."""
    return " ".join(
        f"{row} shows the certificate {row.certificate_shown or row.certificate_sha256}"
        f"{', and another key' if row.key_shown else ''}. Trust it only if usher-gateway names the same fingerprint in "
        "its log on that machine: whoever is trusted here is given users' passwords."
        for row in rows
    )


def is_changed(row: Gateway) -> bool:
    """Whether it shows something else than what is pinned."""
    return bool(row.key_shown or row.certificate_shown)


def plans(row: Gateway | GatewayCluster) -> list[tuple[str, str]]:
    """The protocol plans that lead through a gateway or a cluster, with their addresses."""
    found = {choice.plan.pk: choice.plan for choice in row.choices.select_related("plan")}
    return [(f"Protocol plan “{plan}”", reverse("protocol_plans:edit", args=[key])) for key, plan in found.items()]


class GatewayPages(Pages):
    """The way in for users outside of the desktops' network."""

    model, area = Gateway, "gateways"
    form, table = GatewayForm, GatewayTable
    title, add_label = "Gateways", "Add Gateway"
    intro = "Gateways stand between users outside and desktops in a private network."
    empty = "A gateway forwards display connections to desktops that users cannot reach themselves."
    search = ("name", "address", "address_private")
    form_template = "gateways/form.html"
    actions = {
        "register": Action(
            "Register", check_now, applies=lambda row: not row.public_key, row=True,
            help="Says hello to the gateway again, and pins its key and certificate.",
        ),
        "check": Action(
            "Check", check_now, applies=lambda row: bool(row.public_key),
            help="Asks the gateway now whether it is there.",
        ),
        "trust": Action(
            "Trust what it shows now", repin, applies=is_changed, confirm=what_is_pinned, danger=True,
            help="Pins the key and certificate that the gateway shows now.",
        ),
    }  # fmt: skip

    @classmethod
    def queryset(cls) -> QuerySet[Gateway]:
        """With the cluster."""
        return Gateway.objects.select_related("cluster")

    @classmethod
    def in_use(cls, row: Gateway) -> list[tuple[str, str]]:
        """Protocol plans that name it, and what it forwards now."""
        opened = row.tunnels.filter(closed_at=None).count()
        return [*plans(row), (words.count(opened, "open connection"), "")] if opened else plans(row)

    @classmethod
    def saved(cls, request: HttpRequest, row: Gateway, created: bool) -> None:
        """The check that repeats itself begins; the gateway itself has answered already."""
        if created:
            checks.ask_for_check(row, soon=False)

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Its state, on its page."""
        return {"gateway": row, "changed": is_changed(row)} if row else {}
