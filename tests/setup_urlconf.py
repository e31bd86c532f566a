"""The product's addresses, with empty pages for menu entries that are not built yet."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from broker.navigation import MENU
from broker.urls import urlpatterns as product


def nothing(request: HttpRequest, pk: int = 0) -> HttpResponse:
    """An empty page."""
    return HttpResponse("")


HERE = {getattr(each, "namespace", None) for each in product}
NAMES = {name.name for each in product for name in getattr(each, "url_patterns", [each])}
urlpatterns = list(product)
for entries in MENU.values():
    for entry in entries:
        namespace, colon, name = entry.url_name.partition(":")
        stubs = [path("", nothing, name="list"), path("<int:pk>/", nothing, name="edit")]
        if colon and namespace not in HERE:
            urlpatterns.append(path(f"stub/{namespace}/", include((stubs, namespace))))
        elif not colon and namespace not in NAMES:
            urlpatterns.append(path(f"stub/{namespace}/", nothing, name=namespace))
