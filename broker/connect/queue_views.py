"""The pages of a place in the queue."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from broker.connect import places, queue_cards
from broker.connect.launch_views import marked
from broker.connect.models import QueuePlace
from broker.connect.portal_request import SeeOther, polled, portal_of, to
from broker.connect.steps import Step, Walk, progress
from broker.core.clock import now


def place_of(request: HttpRequest, place_id: int) -> QueuePlace:
    """One of this person's places; raises Http404."""
    wanted = places.with_number(QueuePlace.objects.select_related("line__pool", "user"))
    place = wanted.filter(pk=place_id, user_id=request.user.pk or 0).first()
    if place is None:
        raise Http404
    return place


@never_cache
@require_GET
def show(request: HttpRequest, place_id: int) -> HttpResponse:
    """The progress page of who waits. Its poll says that the person is still there; served, it goes on."""
    portal_of(request)
    place = place_of(request, place_id)
    if place.ended_at is not None:
        return left(request, place)
    places.seen(place)
    words = queue_cards.place_in_words(places.number(place), place.usual)
    usual = {"assigning": place.usual} if place.usual is not None else {}
    lines = progress(Walk(Step.ASSIGNING, {"assigning": place.since.isoformat()}, usual), now())
    mark = marked(words, lines[0].late)
    if polled(request) and request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    name = place.line.pool.display_name or place.line.pool.name
    page = {"place": place, "name": name, "words": words, "lines": lines, "mark": mark, "said": words}
    return render(request, "connect/_progress.html" if polled(request) else "connect/progress.html", page)


def left(request: HttpRequest, place: QueuePlace) -> HttpResponse:
    """The wait is over: on to the launch, or back to the desktops with the reason."""
    if place.launch_id is not None:
        return to(request, reverse("launch", args=[place.launch_id]))
    messages.warning(request, place.end_reason)
    return to(request, reverse("desktops"))


@never_cache
@require_GET
def card(request: HttpRequest, place_id: int) -> HttpResponse:
    """The place as the cards' page shows it; reads only, so it keeps nobody's place."""
    portal_of(request)
    place = place_of(request, place_id)
    if place.ended_at is not None:
        return to(request, reverse("queue", args=[place.pk]) if place.launch_id else reverse("desktops"))
    return HttpResponse(queue_cards.place_in_words(places.number(place), place.usual), content_type="text/html")


@require_POST
def leave(request: HttpRequest, place_id: int) -> HttpResponse:
    """Give the place up."""
    if places.ended(place_of(request, place_id), "You gave up your place."):
        messages.info(request, "You no longer wait.")
    return SeeOther(reverse("desktops"))
