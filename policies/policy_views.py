"""The tabs Pool Assignments, Hard-assigned and Rogue of a policy."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from broker.core.forms import PageForm
from broker.core.pages import OVERTAKEN, SeeOther, needs, note, save
from policies.hard_forms import HardForm, RogueForm
from policies.line_forms import LineForm
from policies.models import Policy, PoolAssignment
from policies.pages import PolicyPages
from policies.words import line_in_words


def lines_url(policy_id: int) -> str:
    """The tab Pool Assignments."""
    return reverse("policies:lines", args=[policy_id])


def context(request: HttpRequest, policy: Policy, tab: str, **more: Any) -> dict[str, Any]:
    """What the templates of every tab know."""
    return {
        "pages": PolicyPages, "title": PolicyPages.title, "list_url": PolicyPages.url("list"), "policy": policy,
        "object": policy, "tab": tab, "may_edit": request.user.has_perm("policies.edit"), **more,
    }  # fmt: skip


def in_order(policy: Policy) -> list[PoolAssignment]:
    """The policy's lines with pool and plans."""
    plans = ("policy", "pool", "backup_pool", "protocol_plan", "power_plan", "release_plan")
    return list(policy.lines.select_related(*plans).order_by("order", "pk"))


@needs("policies.view")
def lines(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab Pool Assignments."""
    policy = get_object_or_404(Policy, pk=pk)
    said = [(line, line_in_words(line)) for line in in_order(policy)]
    return render(request, "policies/lines.html", context(request, policy, "lines", lines=said))


def form_page(request: HttpRequest, form: PageForm, then: str, template: str, known: dict[str, Any]) -> HttpResponse:
    """Save a form of a tab and go on to `then`, or draw it."""
    posted = request.method == "POST"
    if posted and not known["may_edit"]:
        raise PermissionDenied
    if posted and form.is_valid():
        if form.stale():
            form.add_error(None, OVERTAKEN)
        elif save(request, form) is not None:
            messages.success(request, f"Saved policy “{known['policy']}”.")
            return SeeOther(then)
    if not known["may_edit"]:
        form.read_only()
    return render(request, template, {**known, "form": form})


@needs("policies.edit")
def add_line(request: HttpRequest, pk: int) -> HttpResponse:
    """A new line, after the others."""
    policy = get_object_or_404(Policy, pk=pk)
    last = policy.lines.aggregate(last=Max("order"))["last"] or 0
    form = LineForm(*posted(request), instance=PoolAssignment(policy=policy, order=last + 1))
    known = context(request, policy, "lines", form_title="Add Pool Assignment", cancel_url=lines_url(pk))
    return form_page(request, form, lines_url(pk), "policies/line.html", known)


@needs("policies.view")
def edit_line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """The form "Edit Pool Assignment"."""
    line = get_object_or_404(PoolAssignment.objects.select_related("policy"), pk=line_id, policy=pk)
    known = context(request, line.policy, "lines", form_title="Edit Pool Assignment", cancel_url=lines_url(pk))
    if known["may_edit"]:
        known["delete_url"] = reverse("policies:line_delete", args=[pk, line_id])
    return form_page(request, LineForm(*posted(request), instance=line), lines_url(pk), "policies/line.html", known)


@needs("policies.edit")
def delete_line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Asks, then takes a line away."""
    line = get_object_or_404(PoolAssignment.objects.select_related("policy", "pool"), pk=line_id, policy=pk)
    if request.method == "POST":
        with transaction.atomic():
            note(request, "deleted", line)
            line.delete()
        messages.success(request, f"Policy “{line.policy}” no longer offers desktops from “{line.pool}”.")
        return SeeOther(lines_url(pk))
    words = (
        "Nobody is offered desktops from this pool by this policy any more. People keep the desktops that they have; "
        "another line whose pool holds them, or the Default plans, act on them from then on."
    )
    known = context(request, line.policy, "lines", delete_words=words, cancel_url=lines_url(pk))
    return render(request, "core/confirm_delete.html", {**known, "object": line})


@require_POST
@needs("policies.edit")
def move_line(request: HttpRequest, pk: int, line_id: int, direction: str) -> HttpResponse:
    """One place up or down; the first line whose pool holds a desktop decides its plans (RULES 11)."""
    with transaction.atomic():
        policy = get_object_or_404(Policy.objects.select_for_update(), pk=pk)
        rows = in_order(policy)
        here = next((place for place, row in enumerate(rows) if row.pk == line_id), None)
        there = -1 if here is None else here + (1 if direction == "down" else -1)
        if here is not None and 0 <= there < len(rows):
            before = [str(row.pool) for row in rows]
            rows[here], rows[there] = rows[there], rows[here]
            for order, row in enumerate(rows, 1):
                row.order = order
            PoolAssignment.objects.bulk_update(rows, ["order"])
            note(request, "updated", policy, {"order": (before, [str(row.pool) for row in rows])})
    return SeeOther(lines_url(pk))


@needs("policies.view")
def hard(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab Hard-assigned."""
    policy = get_object_or_404(Policy, pk=pk)
    return tab(request, policy, "hard", HardForm(*posted(request), instance=policy))


@needs("policies.view")
def rogue(request: HttpRequest, pk: int) -> HttpResponse:
    """The tab Rogue."""
    policy = get_object_or_404(Policy, pk=pk)
    return tab(request, policy, "rogue", RogueForm(*posted(request), instance=policy))


def tab(request: HttpRequest, policy: Policy, name: str, form: PageForm) -> HttpResponse:
    """A tab that is one form of the policy."""
    known = context(request, policy, name, form_title=str(policy), cancel_url=PolicyPages.url("list"))
    return form_page(request, form, request.path, "policies/policy.html", known)


def posted(request: HttpRequest) -> tuple[Any, ...]:
    """The form's data where there is any."""
    return (request.POST,) if request.method == "POST" else ()
