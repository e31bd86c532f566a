"""The part of a desktop's page that says what happens next; the page asks for it every ten seconds."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from broker.core.pages import needs
from broker.resources.desktops.page_facts import what_next
from broker.resources.desktops.rows import desktops


@needs("desktops.view")
def next_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The card alone."""
    return render(request, "resources/_next.html", what_next(request, get_object_or_404(desktops(), pk=pk)))
