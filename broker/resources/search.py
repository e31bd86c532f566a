"""The search of the top bar: desktops, users, pools, policies and centers, as far as one may see them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from authservers.models import User
from broker.core.filters import plain
from broker.core.tables import matching
from broker.resources.desktops.pages import DesktopPages
from broker.resources.desktops.rows import holding
from broker.resources.users.pages import UserPages
from centers.models import Center, Desktop
from policies.models import Policy
from pools.models import Pool

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of thing to look for: its rows, the columns, and a few words about a row."""

    title: str
    area: str
    rows: Callable[[], QuerySet[Any]]
    fields: Sequence[str]
    about: Callable[[Any], str] = lambda row: ""


def desktop_words(row: Desktop) -> str:
    """Where it is and whose."""
    owner = holding(row)
    return " · ".join(
        part for part in (row.name, str(row.center), f"assigned to {owner.user}" if owner else "") if part
    )


def living() -> QuerySet[Any]:
    """Desktops that are still there."""
    return DesktopPages.queryset().exclude(availability=Desktop.Availability.DELETED)


SOURCES: list[Source] = [
    Source("Desktops", "desktops", living, DesktopPages.search, desktop_words),
    Source(
        "Users",
        "users",
        lambda: User.objects.select_related("server"),
        UserPages.search,
        lambda row: f"{row.login} · {row.server}",
    ),
    Source("Pools", "pools", Pool.objects.all, ["name", "display_name"]),
    Source("Policies", "policies", Policy.objects.all, ["name"]),
    Source("Centers", "centers", Center.objects.all, ["name", "directory_id", "region"], lambda row: str(row.region)),
]


def search(request: HttpRequest) -> HttpResponse:
    """What was found, grouped; nothing that the reader may not see."""
    text = plain(request.GET.get("q") or request.GET.get("search") or "")
    allowed = [source for source in SOURCES if request.user.has_perm(f"{source.area}.view")]
    if not allowed:
        raise PermissionDenied
    groups = [hits(source, text) for source in allowed] if text else []
    found = [group for group in groups if group["rows"]]
    return render(request, "resources/search.html", {"title": "Search", "text": text, "groups": found})


def hits(source: Source, text: str) -> dict[str, Any]:
    """The first rows of one kind, and the list with all of them."""
    rows = list(matching(source.rows(), source.fields, text)[: SHOWN + 1])
    return {
        "title": source.title,
        "rows": [(row, reverse(f"{source.area}:edit", args=[row.pk]), source.about(row)) for row in rows[:SHOWN]],
        "more": f"{reverse(f'{source.area}:list')}?{urlencode({'search': text})}" if len(rows) > SHOWN else "",
    }
