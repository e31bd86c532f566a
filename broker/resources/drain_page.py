"""Configuration > Pools > Drain: empty a pool with a message and a deadline, and end that again."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from broker.connect import drains
from broker.core import words
from broker.core.clock import now
from broker.core.forms import DurationField, PlainForm
from broker.core.pages import SeeOther, needs
from pools import rules
from pools.models import Assignment, Pool
from pools.pages import PoolPages

MINUTE, HOUR = 60, 3600
WAITS = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR)


class DrainForm(PlainForm):
    """What people are told, and how long they have."""

    message = forms.CharField(
        label="Message", max_length=1000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown at once on every desktop of the pool that somebody is on.",
    )  # fmt: skip
    wait = DurationField(
        WAITS, label="Log out after", initial=HOUR,
        help_text="Who is still there then is logged out by the Usher Agent.",
    )  # fmt: skip


@needs("pools.edit")
def drain(request: HttpRequest, pk: int) -> HttpResponse:
    """The form; while a drain goes on, what it does and the button that ends it."""
    pool = get_object_or_404(Pool, pk=pk)
    under_way = drains.open_of(pool)
    if request.method == "POST" and "end" in request.POST:
        if under_way:
            back = drains.end(under_way, str(request.user))
            messages.success(request, f"The drain of “{pool}” is ended: {words.count(back, 'desktop')} offered again.")
        return SeeOther(PoolPages.page_url(pool))
    form = DrainForm(request.POST or None)
    if request.method == "POST" and not under_way and form.is_valid() and begun(request, pool, form):
        return SeeOther(request.path)
    return render(request, "resources/drain.html", {
        "form": form, "drain": under_way, "pool": pool, "form_title": f"Drain {pool}", "title": "Drain",
        "save_label": "Drain pool", "may_edit": True, "pages": PoolPages, "list_url": PoolPages.url("list"),
        "cancel_url": PoolPages.page_url(pool), "danger": "" if under_way else question(pool),
    })  # fmt: skip


def question(pool: Pool) -> str:
    """What a drain means, in numbers."""
    here = rules.desktops(pool)
    held = Assignment.objects.filter(desktop__in=here, closed_at=None).count()
    return (
        f"{words.count(here.count(), 'desktop')} will be offered to nobody, by any policy, at once. "
        f"{words.count(held, 'of them is assigned', 'of them are assigned')}: people keep them, are told, and are "
        "logged out at the deadline."
    )


def begun(request: HttpRequest, pool: Pool, form: DrainForm) -> bool:
    """Begin; False with the error in the form where somebody else was faster."""
    deadline = now() + timedelta(seconds=form.cleaned_data["wait"])
    try:
        done = drains.begin(pool, form.cleaned_data["message"], deadline, str(request.user))
    except IntegrityError:
        form.add_error(None, "This pool is being drained already.")
        return False
    said = f"“{pool}” is being drained: {words.count(done.emptied, 'desktop')} out of the offers, "
    messages.success(request, f"{said}{words.count(done.told, 'session')} told.")
    if done.not_told:
        silent = words.count(done.not_told, "session")
        messages.warning(request, f"{silent} could not be told: the Usher Agent is silent.")
    return True
