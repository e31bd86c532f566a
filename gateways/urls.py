"""Addresses under /setup/gateways/ and /setup/gateway-clusters/."""

from gateways.cluster_pages import GatewayClusterPages
from gateways.pages import GatewayPages

urlpatterns = GatewayPages.urls()
clusters_urlpatterns = GatewayClusterPages.urls()
