"""The menu: one list. A page is shown to those who may see it."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from broker.core.models import Job


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its label, the area whose permission it needs, its url name, its icon in static/icons.svg."""

    label: str
    area: str
    url_name: str
    icon: str


MENU: dict[str, list[Entry]] = {
    "": [Entry("Dashboard", "dashboard", "dashboard", "dashboard")],
    "Setup": [
        Entry("Authentication Servers", "authentication_servers", "authentication_servers:list", "directory"),
        Entry("Centers", "centers", "centers:list", "cloud"),
        Entry("Gateways", "gateways", "gateways:list", "gateway"),
        Entry("Gateway Clusters", "gateways", "gateway_clusters:list", "pool"),
    ],
    "Configuration": [
        Entry("Pools", "pools", "pools:list", "pool"),
        Entry("Protocol Plans", "protocol_plans", "protocol_plans:list", "protocol"),
        Entry("Power Control Plans", "power_control_plans", "power_control_plans:list", "power"),
        Entry("Release Plans", "release_plans", "release_plans:list", "release"),
        Entry("Policies", "policies", "policies:list", "policy"),
        Entry("Assignments", "assignments", "assignments:list", "assign"),
        Entry("Roles", "roles", "roles:list", "role"),
        Entry("Locations", "locations", "locations:list", "location"),
    ],
    "Resources": [
        Entry("Desktops", "desktops", "desktops:list", "desktop"),
        Entry("Images", "images", "images:list", "image"),
        Entry("Users", "users", "users:list", "user"),
        Entry("Sessions", "sessions", "sessions:list", "session"),
    ],
    "System": [
        Entry("Job Queue", "jobs", "jobs:list", "job"),
        Entry("Log", "log", "log:list", "log"),
    ],
}


def shown_to(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups and pages that this person may see, the current one marked."""
    groups = []
    for title, entries in MENU.items():
        shown: list[dict[str, Any]] = [
            {"label": entry.label, "url": reverse(entry.url_name), "area": entry.area, "icon": entry.icon}
            for entry in entries
            if request.user.has_perm(f"{entry.area}.view")
        ]
        for entry in shown:
            entry["current"] = request.path.startswith(entry["url"])
        if shown:
            groups.append({"title": title, "entries": shown})
    return groups


def jobs_running() -> int:
    """How many jobs run now; asked only by templates that show it."""
    return Job.objects.filter(state=Job.State.RUNNING).count()


def context(request: HttpRequest) -> dict[str, Any]:
    """For every template: the menu (only computed where a template asks), version and demo flag."""
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    return {
        "navigation": (lambda: shown_to(request)) if signed_in else [],
        "version": settings.VERSION,
        "demo": settings.DEMO,
        "jobs_running": SimpleLazyObject(jobs_running),
    }
