"""Every address of the product. One line for each page of the menu."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from broker.resources import setup_urls
from plans.urls import power_control_plans_urlpatterns, protocol_plans_urlpatterns, release_plans_urlpatterns
from policies.urls import (
    assignments_urlpatterns,
    locations_urlpatterns,
    policies_urlpatterns,
    roles_urlpatterns,
)
from pools.urls import pools_urlpatterns

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("broker.connect.urls")),
    path("agent/v1/", include(("agents.urls", "agent"))),
    path("setup/authentication-servers/", include((setup_urls.authentication_servers, "authentication_servers"))),
    path("setup/centers/", include((setup_urls.centers, "centers"))),
    path("setup/gateways/", include((setup_urls.gateways, "gateways"))),
    path("setup/gateway-clusters/", include((setup_urls.gateway_clusters, "gateway_clusters"))),
    path("configuration/pools/", include((pools_urlpatterns, "pools"))),
    path("configuration/protocol-plans/", include((protocol_plans_urlpatterns, "protocol_plans"))),
    path("configuration/power-control-plans/", include((power_control_plans_urlpatterns, "power_control_plans"))),
    path("configuration/release-plans/", include((release_plans_urlpatterns, "release_plans"))),
    path("configuration/policies/", include((policies_urlpatterns, "policies"))),
    path("configuration/assignments/", include((assignments_urlpatterns, "assignments"))),
    path("configuration/roles/", include((roles_urlpatterns, "roles"))),
    path("configuration/locations/", include((locations_urlpatterns, "locations"))),
    path("", include("broker.resources.urls")),
    *([path("demo/", include("broker.demo.urls"))] if settings.DEMO else []),
]
