"""Assign many desktops at once: typed, pasted or from a CSV file, looked at before anything is done."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from authservers.models import User
from broker.core import words
from broker.core.filters import keys
from broker.core.forms import PlainForm
from broker.core.pages import Refused, SeeOther, needs
from broker.resources.desktops import actions
from broker.resources.desktops.forms import binding_refusal
from broker.resources.desktops.pages import DesktopPages
from broker.resources.desktops.rows import desktops, holding
from broker.resources.desktops.views import assigned
from centers.models import Desktop
from pools.models import Assignment

LONGEST, MOST = 200_000, 1_000  # bytes, rows
KINDS = {"": "policy", "policy": "policy", "hard": "hard", "policy-assigned": "policy", "hard-assigned": "hard"}
TITLE = "Assign to users"


class BulkAssignForm(PlainForm):
    """A row for each desktop, and whether AWS's bindings give way."""

    rows = forms.CharField(
        label="Rows", required=False, strip=False, max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 10, "class": "code", "spellcheck": "false"}),
        help_text="A row for each desktop: desktop, user, kind. The desktop by its name, display name or id; the user "
        "by login or DOMAIN\\login; the kind is policy (also where it is left out) or hard.",
    )  # fmt: skip
    file = forms.FileField(label="Or a CSV file", required=False, help_text="With the same three columns.")
    override = forms.BooleanField(
        label="Hard-assign also where AWS bound the WorkSpace to another user", required=False,
        help_text="At the desktop they still need the right to log on.",
    )  # fmt: skip

    def clean_file(self) -> str:
        """The text of the file, "" where there is none."""
        sent = self.cleaned_data.get("file")
        if not sent:
            return ""
        if sent.size > LONGEST:
            raise forms.ValidationError(f"The file is larger than {LONGEST // 1000} kB.")
        try:
            return str(sent.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise forms.ValidationError("The file is no text in UTF-8.") from error

    def clean(self) -> dict[str, Any]:
        """One of the two says something, and not too much."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        text = cleaned.get("file") or cleaned.get("rows") or ""
        try:
            cleaned["said"] = list(read(text))
        except csv.Error as error:
            self.add_error("rows", f"This cannot be read as CSV: {error}.")
            return cleaned
        cleaned["text"] = text
        if not cleaned["said"] and not self.errors:
            self.add_error("rows", "Enter at least one row, or choose a file.")
        if len(cleaned["said"]) > MOST:
            self.add_error("rows", f"{len(cleaned['said']):,} rows are too many: at most {MOST:,} at once.")
        return cleaned


def read(text: str) -> Iterator[tuple[str, str, str]]:
    """(desktop, user, kind) of each row; a head and empty rows are passed over."""
    for number, row in enumerate(csv.reader(StringIO(text.replace("\0", "")), strict=True)):
        cells = [cell.strip() for cell in (*row, "", "", "")][:3]
        if any(cells) and not (number == 0 and cells[0].lower() == "desktop"):
            yield cells[0], cells[1], cells[2]


@dataclass(slots=True)
class Planned:
    """One row: what is to be done, or why it cannot be (`problem`); `unchanged` where it is so already."""

    desktop_text: str
    user_text: str
    kind: str
    desktop: Desktop | None = None
    user: User | None = None
    problem: str = ""
    unchanged: bool = False

    @property
    def todo(self) -> bool:
        """Whether there is something to do."""
        return not self.problem and not self.unchanged


def planned(said: Sequence[tuple[str, str, str]], *, override: bool) -> list[Planned]:
    """Every row judged, in four statements however many there are."""
    machines, people = named_desktops(row[0] for row in said), named_users(row[1] for row in said)
    taken: set[int] = set()
    found = []
    for desktop_text, user_text, kind_text in said:
        row = Planned(desktop_text, user_text, KINDS.get(kind_text.lower(), ""))
        try:
            row.desktop = the_one(machines.get(desktop_text.lower(), []), desktop_text, "desktop")
            row.user = the_one(people.get(user_text.lower(), []), user_text, "user")
            row.unchanged = judged(row, kind_text, taken, override=override)
        except Refused as refusal:
            row.problem = str(refusal)
        found.append(row)
    return found


def judged(row: Planned, kind_text: str, taken: set[int], *, override: bool) -> bool:
    """Whether everything is so already; raises Refused where it cannot be done."""
    assert row.desktop and row.user  # noqa: S101 - the_one() saw to it
    if not row.kind:
        raise Refused(f"“{kind_text}” is no kind: write policy or hard.")
    if row.desktop.pk in taken:
        raise Refused("The desktop stands in an earlier row already.")
    taken.add(row.desktop.pk)
    if not actions.present(row.desktop):
        raise Refused("The desktop is deleted, or not made yet.")
    owner = holding(row.desktop)
    if owner is not None and owner.user_id != row.user.pk:
        raise Refused(f"It is assigned to {owner.user}. Release it first.")
    against = binding_refusal(row.desktop, row.user, row.kind, override=override)
    if against:
        raise Refused(against[1])
    return owner is not None and owner.kind == row.kind


def the_one(found: Sequence[Any], text: str, noun: str) -> Any:
    """The only one of this name; raises Refused."""
    if not text:
        raise Refused(f"The {noun} is missing.")
    if len(found) != 1:
        raise Refused(f"No {noun} is called “{text}”." if not found else f"Several {noun}s are called “{text}”.")
    return found[0]


def named_desktops(names: Iterable[str]) -> dict[str, list[Desktop]]:
    """Name in lower case -> the desktops of this id, name or display name."""
    wanted = {name.lower() for name in names if name}
    lowered = desktops().annotate(low_name=Lower("name"), low_shown=Lower("display_name"))
    typed = lowered.filter(Q(ref__in=wanted) | Q(low_name__in=wanted) | Q(low_shown__in=wanted))
    found: dict[str, list[Desktop]] = {}
    for row in typed.exclude(availability=Desktop.Availability.DELETED) if wanted else ():
        for name in {(row.ref or "").lower(), row.name.lower(), row.display_name.lower()} & wanted:
            found.setdefault(name, []).append(row)
    return found


def named_users(names: Iterable[str]) -> dict[str, list[User]]:
    """Login, or DOMAIN\\login, in lower case -> the active users."""
    wanted = {name.lower() for name in names if name}
    logins = {name.rpartition("\\")[2] for name in wanted}
    people = User.objects.annotate(low=Lower("login")).filter(is_active=True, low__in=logins).select_related("server")
    found: dict[str, list[User]] = {}
    for user in people if wanted else ():
        for name in {user.login.lower(), f"{user.netbios}\\{user.login}".lower()} & wanted:
            found.setdefault(name, []).append(user)
    return found


@needs("desktops.edit")
def bulk_assign(request: HttpRequest) -> HttpResponse:
    """The form, then what would be done, then it is done."""
    data = (request.POST, request.FILES) if request.method == "POST" else ()
    form = BulkAssignForm(*data, initial={"rows": begun(request)})
    rows: list[Planned] = []
    if request.method == "POST" and form.is_valid():
        rows = planned(form.cleaned_data["said"], override=form.cleaned_data["override"])
        if request.POST.get("confirmed") == "yes":
            return carried_out(request, rows)
    todo = sum(row.todo for row in rows)
    context = {
        "form": form, "rows": rows, "todo": todo, "wrong": sum(bool(row.problem) for row in rows),
        "text": form.cleaned_data.get("text", "") if rows else "", "form_title": TITLE, "title": TITLE,
        "save_label": "Look at it first", "may_edit": True, "pages": DesktopPages,
        "list_url": DesktopPages.url("list"), "cancel_url": DesktopPages.url("list"),
        "lead": "Nothing is done before you have seen what each row would do.",
    }  # fmt: skip
    return render(request, "resources/bulk_assign.html", context)


def begun(request: HttpRequest) -> str:
    """A row for each desktop that was ticked in the list; the users are still to be typed."""
    ticked = desktops().filter(pk__in=keys(request.GET.get("ids", "").split(",")))[:MOST]
    line = StringIO()
    writer = csv.writer(line, lineterminator="\n")
    writer.writerows([row.ref or row.name, str(owner.user.login) if (owner := holding(row)) else "", "policy"]
                     for row in ticked)  # fmt: skip
    return line.getvalue()


def carried_out(request: HttpRequest, rows: Sequence[Planned]) -> HttpResponse:
    """Assign what can be; each row in a transaction of its own, so that one that fails stops no other."""
    done = 0
    for row in rows:
        if row.todo and row.desktop and row.user:
            try:
                assigned(request, row.desktop, row.user, Assignment.Kind(row.kind))
                done += 1
            except Refused as refusal:
                messages.error(request, str(refusal))
    left = sum(bool(row.problem) for row in rows)
    messages.success(request, f"{words.count(done, 'desktop')} assigned."
                     + (f" {words.count(left, 'row')} left out." if left else ""))  # fmt: skip
    return SeeOther(DesktopPages.url("list"))
