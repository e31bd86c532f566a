"""Addresses under /setup/gateways/."""

from gateways.pages import GatewayPages

urlpatterns = GatewayPages.urls()
