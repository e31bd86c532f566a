"""The forms of a desktop: its page, the changes of several at once, and whom to assign it to."""

from typing import Any, ClassVar

from django import forms

from authservers.models import AuthenticationServer, User
from broker.connect.verdicts import UNDEFINED
from broker.core.forms import PageForm, PlainForm, Section
from broker.core.net import is_address
from centers.models import Center, Desktop
from pools.models import Assignment

TAG_LENGTH = 60
NOTE_LENGTH = 4095


def tags_of(text: str) -> list[str]:
    """The tags of a comma-separated text, each once, in order."""
    found = [each.strip() for each in text.split(",") if each.strip()]
    if any(len(each) > TAG_LENGTH for each in found):
        raise forms.ValidationError(f"A tag has at most {TAG_LENGTH} characters.")
    return list(dict.fromkeys(found))


class TagsField(forms.CharField):
    """Tags, separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        """As one text."""
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """As a list."""
        return tags_of(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as lists."""
        return list(initial or []) != tags_of(str(data or ""))


class DesktopForm(PageForm):
    """What we decide about a desktop; what AWS says of it stands beside."""

    tags = TagsField(label="Tags", required=False, help_text="Separated by commas. Pools can be made of tags.")

    class Meta:
        model = Desktop
        fields: ClassVar = [
            "display_name",
            "tags",
            "notes",
            "availability",
            "unavailable_reason",
            "address_override",
            "plans_off",
            "deletable",
        ]
        widgets: ClassVar = {"notes": forms.Textarea(attrs={"rows": 3})}
        help_texts: ClassVar = {
            "display_name": "What people see. Left empty, it follows the image and the user again.",
            "unavailable_reason": "Shown here and in Test Login.",
            "address_override": "An address or host name for connections, in place of the one that AWS tells.",
            "plans_off": "No plan stops, releases or logs out, and it is not offered. For building images.",
            "deletable": "Without it nobody can delete it here, and no release plan does.",
        }
        labels: ClassVar = {"plans_off": "Plans do not act here"}

    sections: ClassVar = [
        Section("Desktop", "", ["display_name", "tags", "notes"]),
        Section(
            "Availability", "An unavailable desktop is offered to nobody new.", ["availability", "unavailable_reason"]
        ),
        Section("Rules for this desktop", "", ["address_override", "plans_off", "deletable"]),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.availability in {Desktop.Availability.MISSING, Desktop.Availability.DELETED}:
            del self.fields["availability"]
        else:
            choice = self.fields["availability"]
            assert isinstance(choice, forms.ChoiceField)  # noqa: S101 - for the type checker
            choice.choices = [(value, label) for value, label in Desktop.Availability.choices[:2]]

    def clean_address_override(self) -> str:
        """An address, or a host name: nothing that could be taken for more."""
        text = str(self.cleaned_data["address_override"]).strip()
        plain = all(part and part.replace("-", "").isalnum() for part in text.split("."))
        if text and not is_address(text) and not (plain and text.isascii()):
            raise forms.ValidationError(f"“{text}” is neither an address nor a host name.")
        return text

    def instance_values(self) -> None:
        """A display name that was typed is ours from then on; an emptied one is AWS's again (RULES 5)."""
        super().instance_values()
        if "display_name" in self.changed_data:
            self.instance.own_display_name = bool(self.cleaned_data.get("display_name"))
        if self.cleaned_data.get("availability") == Desktop.Availability.AVAILABLE:
            self.cleaned_data["unavailable_reason"] = ""


class ReasonForm(PlainForm):
    """Why desktops are made unavailable."""

    reason = forms.CharField(
        label="Why it is unavailable", max_length=255, help_text="Shown on the row and in Test Login."
    )


class ReleaseForm(PlainForm):
    """Why desktops are taken from their users."""

    reason = forms.CharField(
        label="Reason", max_length=200, required=False, help_text="For the log and the history of the desktop."
    )


class TagsForm(PlainForm):
    """Tags to put on, and to take off."""

    add = TagsField(label="Add these tags", required=False, help_text="Separated by commas.")
    remove = TagsField(label="Remove these tags", required=False)


class NoteForm(PlainForm):
    """A line for the notes."""

    note = forms.CharField(
        label="Note",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Added below what stands there.",
    )


class DeleteForm(PlainForm):
    """The name, typed, before something is lost for ever."""

    typed = forms.CharField(label="Type its name to go on")

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["typed"].label = f"Type “{name}” to go on"

    def clean_typed(self) -> str:
        """Exactly its name."""
        if self.cleaned_data["typed"].strip() != self.name:
            raise forms.ValidationError("That is not its name, so nothing was deleted.")
        return self.name


def bound_to(desktop: Desktop) -> str:
    """Whom AWS holds this WorkSpace for, where its center offers such desktops to them only."""
    owner_only = desktop.center.offer_bound == Center.Bound.OWNER
    return desktop.bound_user if owner_only and desktop.bound_user != UNDEFINED else ""


def binding_refusal(desktop: Desktop, user: User, kind: str, *, override: bool) -> tuple[str, str] | None:
    """(field, why not) where AWS holds the WorkSpace for somebody else: only a confirmed hard assignment overrides it.

    RULES 10.
    """
    bound = bound_to(desktop)
    own = user.server_id == desktop.center.server_id and (user.sam or user.login).lower() == bound.lower()
    if not bound or own:
        return None
    if kind != Assignment.Kind.HARD:
        return "kind", f"AWS bound this WorkSpace to {bound}: only a hard assignment gives it to somebody else."
    return None if override else ("override", f"Confirm that {user} gets the WorkSpace that AWS bound to {bound}.")


class AssignForm(PlainForm):
    """Whom a desktop is given to, and how firmly (RULES 10, 14)."""

    login = forms.CharField(
        label="User name", max_length=255, help_text="Load people who are not listed under Users first."
    )
    server = forms.ModelChoiceField(
        AuthenticationServer.objects.none(), label="Domain", required=False, empty_label="Any"
    )
    kind = forms.ChoiceField(
        label="Assignment",
        choices=[
            (Assignment.Kind.POLICY, "Policy-assigned: plans may release it"),
            (Assignment.Kind.HARD, "Hard-assigned: it stays theirs until you release it"),
        ],
    )
    override = forms.BooleanField(label="Assign it although AWS bound it to another user", required=False)

    def __init__(self, *args: Any, desktop: Desktop, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.desktop = desktop
        servers = self.fields["server"]
        assert isinstance(servers, forms.ModelChoiceField)  # noqa: S101 - for the type checker
        servers.queryset = AuthenticationServer.objects.order_by("position", "name")
        bound = bound_to(desktop)
        if not bound:
            del self.fields["override"]
        else:
            self.fields["override"].help_text = (
                f"AWS bound it to {bound}. Only a hard assignment overrides this; at the desktop "
                "they still need the right to log on."
            )

    def clean(self) -> dict[str, Any]:
        """Find the person; a binding by AWS gives way to a hard assignment that was confirmed only."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        user = self.found(cleaned.get("login", ""), cleaned.get("server"))
        if user is None:
            return cleaned
        cleaned["user"] = user
        against = binding_refusal(self.desktop, user, cleaned.get("kind", ""), override=bool(cleaned.get("override")))
        if against:
            self.add_error(*against)
        return cleaned

    def found(self, login: str, server: AuthenticationServer | None) -> User | None:
        """The one person of this name, or None with the error beside the field."""
        if not login.strip():
            return None
        rows = User.objects.select_related("server").filter(is_active=True)
        if server is not None:
            rows = rows.filter(server=server)
        people = list(rows.filter(login__iexact=login.strip())[:2])
        if len(people) == 1:
            return people[0]
        problem = "Several people have this name: choose the domain." if people else (
            "Nobody of this name is known here. Load the user from the authentication server first."
        )  # fmt: skip
        self.add_error("login", problem)
        return None
