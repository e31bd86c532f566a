"""The product's addresses, with an empty page for each entry of the menu that is not built yet."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path

from broker.navigation import MENU
from broker.urls import urlpatterns as real


def empty(request: HttpRequest, pk: int = 0) -> HttpResponse:
    """Nothing."""
    return HttpResponse()


def _missing() -> list[URLPattern | URLResolver]:
    known = {pattern.namespace for pattern in real if isinstance(pattern, URLResolver)}
    named = {pattern.name for pattern in real if isinstance(pattern, URLPattern)}
    found: list[URLPattern | URLResolver] = []
    for entry in [entry for entries in MENU.values() for entry in entries]:
        space, _, name = entry.url_name.rpartition(":")
        if space and space not in known:
            pages = [path("", empty, name=name), path("<int:pk>/", empty, name="edit")]
            found.append(path(f"stub/{space}/", include((pages, space))))
        elif not space and name not in named:
            found.append(path(f"stub/{name}/", empty, name=name))
    return found


urlpatterns = [*real, *_missing()]
