"""The two steps of Load users (seed ch. 6)."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html

from authservers import scopes
from authservers.directories.base import DirectoryError, Person
from authservers.directories.expressions import checked_expression
from authservers.models import AuthenticationServer, User
from authservers.scopes import Scope
from authservers.services import directory
from broker.core import words
from broker.core.forms import PlainForm, when
from broker.core.templatetags.usher import ago
from broker.core.widgets import DUAL_LIST_LIMIT, Choice, DualList

REFRESH = format_html(
    '<button type="submit" class="button small" name="_step" value="group:refresh" formnovalidate>{}</button>',
    "Refresh groups",
)
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
SCOPES = {
    scopes.USER: "Select a specific user",
    scopes.RECENT: "Select from recently created users",
    scopes.EXPRESSION: "Select from users that match an expression",
    scopes.GROUP: "Select users from a group",
    scopes.ALL: "Select from all the users",
}


class ScopeForm(PlainForm):
    """Step 1: whom to choose from."""

    scope = forms.ChoiceField(
        label="Scope", choices=list(SCOPES.items()), widget=forms.RadioSelect, initial=scopes.USER
    )
    username = forms.CharField(label="Enter the username", max_length=256)
    hours = forms.IntegerField(label="Enter a number, in hours", min_value=1, max_value=87_600, initial=24)
    expression = forms.CharField(
        label="Enter an LDAP expression", max_length=3500, help_text="An example: (department=Sales)"
    )
    group = forms.ChoiceField(label="Select the group")
    show_when = {name: when("scope", scope) for name, scope in [
        ("username", scopes.USER), ("hours", scopes.RECENT), ("expression", scopes.EXPRESSION), ("group", scopes.GROUP),
    ]}  # fmt: skip

    def __init__(self, data: Any, server: AuthenticationServer, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.server = server
        self.fields["username"].help_text = f"Exactly as in {server.config.get('match_field', 'sAMAccountName')}."
        if server.config.get("query_groups"):
            self.offer_groups()
            return
        del self.fields["group"]
        self.fields["scope"].choices = [pair for pair in SCOPES.items() if pair[0] != scopes.GROUP]  # type: ignore[attr-defined]

    def offer_groups(self) -> None:
        """The groups as last read; done again after Refresh groups."""
        groups = [(group["dn"], group["name"]) for group in self.server.groups]
        field: Any = self.fields["group"]
        field.choices = [("", "Choose…"), *groups]
        read = self.server.groups_at
        age = format_html("{} read {}.", words.count(len(groups), "group"), ago(read)) if read else "Not read yet."
        field.help_text = format_html("{} {}", age, REFRESH)

    def clean_expression(self) -> str:
        """Well-formed before anything is sent."""
        text = str(self.cleaned_data["expression"])
        if "expression" in self.absent():
            return text
        try:
            return checked_expression(text)
        except DirectoryError as error:
            raise ValidationError(error.message) from error

    def wanted(self) -> Scope:
        """The scope that was chosen, with its own field alone."""
        given = self.cleaned_data
        own = {"user": "username", "recent": "hours", "expression": "expression", "group": "group"}.get(given["scope"])
        return Scope(kind=given["scope"], **({own: given[own]} if own else {}))

    def somebody(self) -> bool:
        """Whether the directory knows anybody in this scope; the form says why not. Network."""
        scope = self.wanted()
        field = {"user": "username", "recent": "hours", "expression": "expression", "group": "group"}.get(scope.kind)
        try:
            found = scopes.people(directory(self.server), scope, "", 1)
        except DirectoryError as error:
            self.add_error(None, error.message)
            return False
        if not found:
            self.add_error(field, self.nobody(scope))
        return bool(found)

    def nobody(self, scope: Scope) -> str:
        """Nobody is in the scope, in words."""
        return {
            scopes.USER: f"{self.server} knows nobody with the user name {scope.username}.",
            scopes.RECENT: "Nobody was created in this time.",
            scopes.GROUP: "This group has no members that the server's search settings let through.",
        }.get(scope.kind, f"Nobody in {self.server} fits this.")


class PeopleList(DualList):
    """The two lists over a directory, which cannot be counted cheaply: how many more there are is not known."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Without "200 of 201 shown"."""
        return {**super().get_context(name, value, attrs), "left_out": 0}


class PeopleField(forms.Field):
    """People as `<guid> <label>`; its value is the list of GUIDs. The label spares asking for them again."""

    widget = PeopleList("users")

    def clean(self, value: Any) -> list[str]:
        """At least one, each a GUID."""
        guids = [str(entry).partition(" ")[0] for entry in value or []]
        if not guids:
            raise ValidationError("Select at least one user, with Add item.")
        if not all(GUID.fullmatch(guid) for guid in guids):
            raise ValidationError("This selection cannot be read. Begin again with step 1.")
        return guids


class PeopleForm(PlainForm):
    """Step 2: who of them."""

    users = PeopleField(label="Users")

    def __init__(self, data: Any, server: AuthenticationServer, scope: Scope) -> None:
        super().__init__(data)
        self.server, self.scope = server, scope
        self.trouble = ""
        self.found: list[Choice] = []
        self.fields["users"].widget.lookup = self.lookup

    def look(self) -> None:
        """Ask the directory for what the Available list shows. Network; its trouble is kept for the page."""
        term = str(self.data.get("users_search", "")) if self.is_bound else ""
        try:
            people = scopes.people(directory(self.server), self.scope, term, DUAL_LIST_LIMIT + 1)
        except DirectoryError as error:
            self.trouble = error.message
            return
        if len(people) > DUAL_LIST_LIMIT:
            self.fields["users"].help_text = f"More than {DUAL_LIST_LIMIT} people fit. Search to see others."
        self.found = sorted(self.labelled(people), key=lambda pair: pair[1].lower())

    def labelled(self, people: Sequence[Person]) -> list[Choice]:
        """Entries of the list, those who are users already marked."""
        guids = [person.guid for person in people]
        known = set(User.objects.filter(server=self.server, guid__in=guids).values_list("guid", flat=True))
        entries = []
        for person in people:
            marks = ["disabled"] * person.disabled + ["loaded already"] * (person.guid in known)
            label = f"{person.display_name or person.sam} ({person.sam})" + "".join(f" – {mark}" for mark in marks)
            entries.append((f"{person.guid} {label}", label))
        return entries

    def lookup(self, term: str, chosen: Sequence[str]) -> tuple[list[Choice], list[Choice], int]:
        """What the widget shows: (available, selected, how many available)."""
        selected = [(entry, entry.partition(" ")[2] or entry) for entry in chosen]
        taken = {entry.partition(" ")[0] for entry in chosen}
        rest = [entry for entry in self.found if entry[0].partition(" ")[0] not in taken]
        return rest[:DUAL_LIST_LIMIT], selected, len(rest)


def as_query(scope: Scope) -> dict[str, Any]:
    """The scope as fields of an address: the second step needs nothing but this."""
    given = asdict(scope)
    return {"scope": given.pop("kind"), **{name: value for name, value in given.items() if value}}
