"""What is done to one desktop or many after a form was filled in: a reason, a text, tags, a note."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from broker.core import words
from broker.core.filters import keys
from broker.core.forms import PlainForm
from broker.core.pages import Refused, SeeOther, needs
from broker.resources.desktops import actions
from broker.resources.desktops.forms import NOTE_LENGTH, NoteForm, ReasonForm, ReleaseForm, TagsForm
from broker.resources.desktops.pages import DesktopPages
from broker.resources.desktops.rows import desktops
from broker.resources.desktops.views import page
from broker.resources.sessions.actions import MessageForm, tell
from broker.resources.sessions.rows import sessions
from centers.models import Desktop

Said = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing to do: its form, what it does with a row (it may raise Refused), and what is said before."""

    title: str
    form: type[PlainForm]
    do: Callable[[HttpRequest, Desktop, Said], None]
    permission: str = "desktops.edit"
    lead: Callable[[Sequence[Desktop]], str] = lambda rows: f"For {words.listed(rows)}."


def unavailable(request: HttpRequest, row: Desktop, said: Said) -> None:
    """Out of the offers, with the reason."""
    actions.set_availability(row, Desktop.Availability.UNAVAILABLE, said["reason"])


def tags(request: HttpRequest, row: Desktop, said: Said) -> None:
    """Some on, some off."""
    kept = [tag for tag in row.tags if tag not in said["remove"]]
    actions.change(row, {"tags": row.tags}, {"tags": list(dict.fromkeys([*kept, *said["add"]]))})


def note(request: HttpRequest, row: Desktop, said: Said) -> None:
    """A line below the others."""
    notes = "\n".join(part for part in (row.notes, said["note"]) if part)[-NOTE_LENGTH:]
    actions.change(row, {"notes": row.notes}, {"notes": notes})


def release(request: HttpRequest, row: Desktop, said: Said) -> None:
    """The end of the assignment, with the reason where one was given."""
    actions.release(request, row, str(said["reason"]))


def message(request: HttpRequest, row: Desktop, said: Said) -> None:
    """A text on the screen of everybody who is on it."""
    live = list(sessions().filter(desktop=row, ended_at=None).exclude(user_name=""))
    if not live:
        raise Refused(f"Nobody has a session on {row}.")
    for session in live:
        tell(request, session, "message", said["text"])


CHANGES: dict[str, Change] = {
    "unavailable": Change("Make unavailable", ReasonForm, unavailable),
    "tags": Change("Change tags", TagsForm, tags),
    "note": Change("Add note", NoteForm, note),
    "release": Change("Release", ReleaseForm, release, "desktops.execute", actions.release_question),
    "message": Change("Send message", MessageForm, message, "desktops.execute"),
}


@needs("desktops.view")
def change(request: HttpRequest, key: str) -> HttpResponse:
    """One change of one desktop or many."""
    if key not in CHANGES:
        raise Http404
    wanted = CHANGES[key]
    if not request.user.has_perm(wanted.permission):
        raise PermissionDenied
    rows = list(desktops().filter(pk__in=keys(request.GET.get("ids", "").split(","))))
    if not rows:
        messages.warning(request, "Nothing was ticked, so nothing was done.")
        return SeeOther(DesktopPages.url("list"))
    form = wanted.form(request.POST or None)
    if request.method == "POST" and form.is_valid():
        carried_out(request, wanted, rows, form.cleaned_data)
        return SeeOther(DesktopPages.url("list"))
    return page(request, form, wanted.title, lead=wanted.lead(rows))


def carried_out(request: HttpRequest, wanted: Change, rows: Sequence[Desktop], said: Said) -> None:
    """Row by row; what is refused is named, and stops no other."""
    done = 0
    for row in rows:
        try:
            wanted.do(request, row, said)
            done += 1
        except Refused as refusal:
            messages.error(request, str(refusal))
    if done:
        messages.success(request, f"{wanted.title}: {words.count(done, 'desktop')}.")
