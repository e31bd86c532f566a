"""Every address of the product. One line for each page of the menu."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("broker.connect.urls")),
    path("agent/v1/", include(("agents.urls", "agent"))),
]
