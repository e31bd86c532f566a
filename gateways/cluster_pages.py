"""Setup > Gateway Clusters."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from broker.core.clock import now
from broker.core.pages import Pages
from gateways.forms import GatewayClusterForm
from gateways.models import SILENT_AFTER, Gateway, GatewayCluster
from gateways.pages import GatewayPages, plans
from gateways.tables import GatewayClusterTable


class GatewayClusterPages(Pages):
    """Gateways that stand in for each other."""

    model, area, namespace = GatewayCluster, "gateways", "gateway_clusters"
    form, table = GatewayClusterForm, GatewayClusterTable
    title, add_label = "Gateway Clusters", "Add Gateway Cluster"
    intro = "A cluster spreads connections over several gateways and leaves out those that are down."
    empty = "With a cluster in a protocol plan, connections go on through the other gateways when one is down."
    search = ("name", "address")
    form_template = "gateways/cluster.html"

    @classmethod
    def queryset(cls) -> QuerySet[GatewayCluster]:
        """With the number of gateways, and of those that are there."""
        up = Q(gateways__state=Gateway.State.ONLINE, gateways__heard_at__gt=now() - SILENT_AFTER)
        return GatewayCluster.objects.annotate(members=Count("gateways"), up=Count("gateways", filter=up))

    @classmethod
    def in_use(cls, row: GatewayCluster) -> list[tuple[str, str]]:
        """Its gateways, and the protocol plans that name it."""
        return [*((f"Gateway “{each}”", GatewayPages.url("edit", each)) for each in row.gateways.all()), *plans(row)]

    @classmethod
    def facts(cls, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Its gateways, on its page."""
        return {"gateways": row.gateways.all()} if row else {}
