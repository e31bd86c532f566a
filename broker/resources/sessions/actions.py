"""What one does with a session: say something, lock, disconnect, log out, forget one that is stuck; end a sign-in."""

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from agents.services import command
from broker.connect import portals, tunnels
from broker.connect.models import DesktopSession, PortalSession
from broker.core import audit, words
from broker.core.clock import now
from broker.core.filters import keys
from broker.core.forms import PlainForm
from broker.core.pages import Refused, SeeOther, needs
from broker.resources.sessions.rows import answering, is_live, sessions
from gateways.models import Tunnel
from gateways.services import close_tunnels

TEXT_LENGTH = 500


def ask_agent(kind: str, done: str) -> Callable[[HttpRequest, DesktopSession], str]:
    """Have the agent do something with a session; it answers within seconds, and the list shows what came of it."""

    def do(request: HttpRequest, row: DesktopSession) -> str:
        tell(request, row, kind)
        return f"{named(row)} {done}."

    return do


@transaction.atomic
def tell(request: HttpRequest, row: DesktopSession, kind: str, text: str = "") -> None:
    """Put the command into the agent's outbox, with its log entry; raises Refused where nobody would fetch it."""
    agent = answering(row)
    if not is_live(row):
        raise Refused(f"{named(row)} has ended.")
    if agent is None:
        raise Refused(f"The Usher Agent of {row.desktop} does not answer, so {named(row)} is left as it is.")
    data = {"session": row.os_session, **({"text": text} if text else {})}
    command(agent, kind, f"{request.user} asked for it", data)
    said = f": {text}" if text else "."
    audit.record(
        f"session.{kind}_requested", f"{kind.capitalize()} asked for {named(row)}{said}", subject=row.desktop,
        desktop=row.desktop, user=row.user,
    )  # fmt: skip


def named(row: DesktopSession) -> str:
    """ "The session of Alice on Design 1"."""
    return f"The session of {row.user or row.user_name} on {row.desktop}"


@transaction.atomic
def clear(request: HttpRequest, row: DesktopSession) -> str:
    """Forget a session of which nobody will hear again, so that its desktop is offered. No plan acts on this."""
    if answering(row) is not None:
        raise Refused(f"The Usher Agent of {row.desktop} answers: log the user out instead.")
    why = f"cleared by {request.user}"[:120]
    stuck = DesktopSession.objects.filter(pk=row.pk, ended_at=None)
    if not stuck.update(ended_at=now(), state=DesktopSession.State.ENDED, end_reason=why):
        raise Refused(f"{named(row)} has ended.")
    audit.record(
        "session.cleared", f"{named(row)} is cleared.", subject=row.desktop, desktop=row.desktop, user=row.user,
        level="warning",
    )  # fmt: skip
    return f"{named(row)} is cleared."


def question(what: str) -> Callable[[Sequence[DesktopSession]], str]:
    """What is asked before people are cut off, with their names."""

    def ask(rows: Sequence[DesktopSession]) -> str:
        people = dict.fromkeys(str(row.user or row.user_name) for row in rows if is_live(row))
        return f"This {what} {words.count(len(rows), 'session')}: {words.listed(people) or 'nobody'}."

    return ask


@transaction.atomic
def sign_out(request: HttpRequest, row: PortalSession) -> str:
    """End one sign-in, and the ways through gateways that came from it; sessions on desktops go on (RULES 22)."""
    this = PortalSession.objects.filter(pk=row.pk)
    if not portals.close(this, f"signed out by {request.user}"):
        raise Refused(f"{row.user} is signed out there already.")
    tunnels.close_of_sign_ins(this, "An administrator has signed you out.")
    audit.record("auth.logout", f"{row.user} is signed out by {request.user}.", user=row.user, subject=row.user)
    return f"{row.user} is signed out. Sessions on desktops go on."


@transaction.atomic
def end_way(request: HttpRequest, row: Tunnel) -> str:
    """Cut a connection through a gateway, now."""
    if not close_tunnels(f"{request.user} ended the connection.", subjects=[row.subject]):
        raise Refused(f"The connection to {row.destination} has ended.")
    launch = tunnels.launch_of(row)
    audit.record(
        "gateway.ended", f"The connection to {row.destination} is ended by {request.user}.", subject=row.gateway,
        desktop=launch.desktop if launch else None, user=launch.user if launch else None,
    )  # fmt: skip
    return f"The connection to {row.destination} is ended. The session on the desktop goes on."


class MessageForm(PlainForm):
    """What is shown on the screen."""

    text = forms.CharField(
        label="Message",
        max_length=TEXT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="It is shown on the desktop as it stands here. Your name is not added.",
    )


def on_a_form(request: HttpRequest, row: DesktopSession) -> HttpResponse:
    """Go on on the form of the message, with this row or every ticked one."""
    ids = keys(request.POST.getlist("ids")) or [row.pk]
    return SeeOther(f"{reverse('sessions:message')}?{urlencode({'ids': ','.join(map(str, ids))})}")


@needs("sessions.execute")
def message(request: HttpRequest) -> HttpResponse:
    """Say something to the people of one session or many."""
    rows = list(sessions().filter(pk__in=keys(request.GET.get("ids", "").split(","))))
    back = reverse("sessions:list")
    if not rows:
        messages.warning(request, "Nothing was ticked, so nothing was done.")
        return SeeOther(back)
    form = MessageForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        sent(request, rows, form.cleaned_data["text"])
        return SeeOther(back)
    context = {
        "form": form, "form_title": "Send message", "title": "Send message", "save_label": "Send message",
        "may_edit": True, "list_title": "Sessions", "list_url": back, "cancel_url": back,
        "lead": f"To {words.listed(dict.fromkeys(str(row.user or row.user_name) for row in rows))}.",
    }  # fmt: skip
    return render(request, "resources/plain_form.html", context)


def sent(request: HttpRequest, rows: Sequence[DesktopSession], text: str) -> None:
    """Tell each; who could not be told is named."""
    count = 0
    for row in rows:
        try:
            tell(request, row, "message", text)
            count += 1
        except Refused as refusal:
            messages.error(request, str(refusal))
    if count:
        messages.success(request, f"The message is shown in {words.count(count, 'session')}.")
