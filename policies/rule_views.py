"""The rule table of one authentication server."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from authservers.directories.base import DirectoryError
from authservers.models import AuthenticationServer
from authservers.services import directory, judge_again
from broker.core.clock import now
from broker.core.forms import STEP
from broker.core.pages import OVERTAKEN, SeeOther, needs, save
from policies.backends import beyond
from policies.pages import AssignmentPages
from policies.rule_forms import RulesForm, asks_groups

REFRESH = "groups:refresh"


def refresh_groups(server: AuthenticationServer) -> str:
    """Read the directory's groups anew and keep them; why not, in words, where it does not answer."""
    try:
        found = directory(server).groups()
    except DirectoryError as trouble:
        return trouble.message
    server.groups = [{"sid": group.sid, "name": group.name, "dn": group.dn} for group in found]
    server.groups_at = now()
    server.save(update_fields=["groups", "groups_at"])
    return ""


def saved(request: HttpRequest, server: AuthenticationServer, created: bool) -> None:
    """Whoever is signed in gets what the rules give now (RULES 22)."""
    judge_again(server, "the assignment rules changed")


def too_much(request: HttpRequest, form: RulesForm) -> str:
    """Why this person cannot give what a new or changed rule gives; a rule that stood already may stay."""
    stood = {(rule.enabled, rule.group_sid, rule.location_id, rule.role_id) for rule in form.rules}
    for rule in form.typed():
        place = int(rule.location_id) if rule.location_id else None
        now_is = (rule.enabled, rule.group_sid, place, int(rule.role_id))
        if now_is not in stood and beyond(request.user, rule.role):
            return f"The role {rule.role} may do more than yours, so you cannot give it."
    return ""


@needs("assignments.view")
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Rules in order, first match wins; *Refresh groups* keeps what was typed."""
    server = get_object_or_404(AuthenticationServer, pk=pk)
    may_edit = request.user.has_perm("assignments.edit")
    posted = request.method == "POST"
    if posted and not may_edit:
        raise PermissionDenied
    trouble = refresh_groups(server) if request.POST.get(STEP) == REFRESH and asks_groups(server) else ""
    form = RulesForm(*((request.POST,) if posted else ()), instance=server)
    if posted and form.is_valid():
        if form.stale():
            form.add_error(None, OVERTAKEN)
        elif refusal := too_much(request, form):
            form.add_error("rules", refusal)
        elif save(request, form, saved) is not None:
            messages.success(request, f"Saved the assignment rules of “{server}”.")
            return SeeOther(AssignmentPages.url("list"))
    if not may_edit:
        form.read_only()
    return render(request, "policies/rules.html", {
        "pages": AssignmentPages, "title": AssignmentPages.title, "list_url": AssignmentPages.url("list"),
        "object": server, "form": form, "may_edit": may_edit, "asks_groups": asks_groups(server), "trouble": trouble,
        "refresh": REFRESH, "form_title": f"Assignments of {server}",
    })  # fmt: skip
