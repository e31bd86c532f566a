"""/demo/: the card with the values for the walk, the simulated desktops, and switches for trouble."""

import json

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from agents.protocol import ProtocolError, bearer_key
from broker.core import audit
from broker.core.pages import SeeOther, needs
from broker.demo import baking, shown
from broker.demo.desktops.client import DesktopsAway, DesktopsRefused
from broker.demo.people import ACTIONS, Unclear, Wish, carry_out
from broker.demo.places import data_folder
from broker.demo.trouble import CHOICES, NoAccount, choose, chosen

IDLE_SECONDS = 600


@needs("dashboard.view")
@require_safe
def card(request: HttpRequest) -> HttpResponse:
    """The page."""
    data = data_folder()
    context = {
        **shown.places(data),
        "accounts": shown.accounts(),
        "rows": shown.rows(data),
        "troubles": [(name, words) for name, (words, _) in CHOICES.items()],
        "trouble": chosen(),
        "may_act": request.user.has_perm("desktops.edit"),
    }
    return render(request, "demo/card.html", context)


@needs("dashboard.view")
@require_safe
def desktops(request: HttpRequest) -> HttpResponse:
    """The table alone, for the page to refresh."""
    context = {"rows": shown.rows(data_folder()), "may_act": request.user.has_perm("desktops.edit")}
    return render(request, "demo/_desktops.html", context)


@needs("desktops.edit")
@require_POST
def act(request: HttpRequest, ref: str) -> HttpResponse:
    """Be the person in front of one desktop."""
    return carried_out(request, Wish(ref, request.POST.get("action", ""), seconds=IDLE_SECONDS))


@needs("desktops.edit")
@require_POST
def log_in(request: HttpRequest) -> HttpResponse:
    """Somebody logs in to a desktop, maybe to one that is not theirs."""
    wish = Wish(request.POST.get("desktop", ""), "login", request.POST.get("user", "").strip()[:200])
    return carried_out(request, wish)


def carried_out(request: HttpRequest, wish: Wish) -> HttpResponse:
    """Do it, say what was done, and go back to the desktops."""
    try:
        if wish.action not in ACTIONS or not wish.name:
            raise Unclear("Choose a desktop and what to do there.")
        said = carry_out(data_folder(), wish)
        audit.record("demo.desktop", f"In the demo: {said}")
        messages.success(request, f"{said} Its agent tells the broker now.")
    except (Unclear, DesktopsAway, DesktopsRefused) as error:
        messages.error(request, str(error))
    return SeeOther(reverse("demo:card") + "#desktops")


@needs("centers.edit")
@require_POST
def trouble(request: HttpRequest) -> HttpResponse:
    """Let the simulated account misbehave, or behave again."""
    try:
        words = choose(request.POST.get("trouble", ""))
        audit.record("demo.trouble", f"In the demo, AWS now: {words}.", level="warning")
        messages.success(request, f"The simulated AWS account: {words}.")
    except NoAccount as error:
        messages.error(request, str(error))
    return SeeOther(reverse("demo:card") + "#trouble")


@login_not_required
@csrf_exempt
@require_POST
def bake_image(request: HttpRequest) -> HttpResponse:
    """The image of a directory gets the token of its center: in life that is somebody's work, here a machine asks.

    Whoever holds a good enrolment token may ask; the token itself goes into the demo's folder and not over the wire.
    """
    try:
        token = bearer_key(request.headers.get("Authorization", ""))
        directory = str(json.loads(request.body)["directory"])
    except (ProtocolError, ValueError, KeyError, TypeError):
        return refused(400, "bad_json", "Say which directory, with an enrolment token.")
    if baking.valid(token) is None:
        return refused(401, "bad_token", "The enrolment token is unknown or revoked.")
    if not baking.bake(data_folder(), directory):
        return refused(404, "no_center", f"No center looks after {directory} yet.")
    return JsonResponse({})


def refused(status: int, code: str, detail: str) -> JsonResponse:
    """A refusal as the agent protocol writes them."""
    return JsonResponse({"error": code, "detail": detail}, status=status)
