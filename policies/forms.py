"""Forms of roles and locations (SPEC A.2, A.3)."""

from ipaddress import ip_network
from typing import Any, ClassVar

from django import forms

from broker.core.forms import PageForm, RowsField, Section, when
from broker.navigation import MENU
from policies.backends import HELP_DESK, RANKS
from policies.locations import ATTRIBUTES
from policies.models import Location, Role
from pools.rules import CONDITIONS

ACCESS = [("none", "No access"), ("view", "View"), ("edit", "View and edit")]
HELP = ("execute", "View and help: send messages, log out, release, clear stuck sessions")
# The first page of each area names its permission, which counts for the area's other pages, too.
PAGES = {
    title: [each for number, each in enumerate(entries) if each.area not in {e.area for e in entries[:number]}]
    for title, entries in MENU.items()
}
ENTRIES = [entry for entries in PAGES.values() for entry in entries]


def notes() -> forms.Field:
    """A few lines for colleagues."""
    return forms.CharField(
        label="Notes", required=False, max_length=4095, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For whoever looks after this later; users never see it.",
    )  # fmt: skip


def page_field(area: str) -> str:
    """Name of the field with a page's permission."""
    return f"page_{area}"


class RoleForm(PageForm):
    """What people may do with their desktops, and which pages of administration they reach."""

    notes = notes()

    class Meta:
        model = Role
        fields: ClassVar = [
            "name", "web_client", "may_release", "may_start", "may_stop", "may_restart", "local_user", "admin_ui",
            "notes",
        ]  # fmt: skip
        help_texts: ClassVar = {
            "web_client": "Sign in with a browser and see their desktops.",
            "may_release": "A policy can still forbid it.",
            "may_stop": "Where the policy allows it, too.",
            "may_restart": "Where the policy allows it, too.",
            "local_user": "By an account of the desktop itself with the user's name, unless the pool assignment says "
            "otherwise.",
            "admin_ui": "Sign in to these pages, with the permissions below.",
        }

    sections: ClassVar = [
        Section("Role", "", ["name"]),
        Section("End-User Permissions", "What people may do in the web client.",
                ["web_client", "may_release", "may_start", "may_stop", "may_restart", "local_user"]),
        Section("Administration", "", ["admin_ui"]),
        *(Section(f"Pages: {title}" if title else "Pages", "", [page_field(entry.area) for entry in entries],
                  when=when("admin_ui", True)) for title, entries in PAGES.items()),
        Section("", "", ["notes"]),
    ]  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.builtin == "administrator":
            del self.fields["admin_ui"]  # somebody must always be able to change everything
            return
        for entry in ENTRIES:
            name = page_field(entry.area)
            choices = [*ACCESS[:2], HELP, *ACCESS[2:]] if entry.area in HELP_DESK else ACCESS
            self.fields[name] = forms.ChoiceField(choices=choices, label=entry.label, required=False)
            begun = "view" if self.instance._state.adding and entry.area == "dashboard" else "none"
            self.initial.setdefault(name, self.instance.pages.get(entry.area, begun))

    def instance_values(self) -> None:
        """The permissions of the pages shown; those of others stay."""
        super().instance_values()
        chosen = {entry.area: self.cleaned_data.get(page_field(entry.area)) for entry in ENTRIES
                  if page_field(entry.area) in self.fields}  # fmt: skip
        pages = {**self.instance.pages, **chosen}
        self.instance.pages = {area: granted for area, granted in pages.items() if granted in RANKS}


class LocationRow(forms.Form):
    """One condition on the client."""

    attribute = forms.ChoiceField(label="Attribute", choices=list(ATTRIBUTES.items()))
    condition = forms.ChoiceField(label="Condition", choices=list(CONDITIONS.items()), initial="cidr")
    value = forms.CharField(label="Value", required=False, max_length=255)

    def clean(self) -> dict[str, Any]:
        """A value must be there, and be a network where one is compared with."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        value = cleaned.get("value", "").strip()
        if not value:
            self.add_error("value", "Enter a value.")
        elif cleaned.get("condition") in {"cidr", "ncidr"}:
            self.check_network(value)
        return cleaned

    def check_network(self, value: str) -> None:
        """Refuse what is no network, and a network for what is no address."""
        if self.cleaned_data.get("attribute") != "ip":
            self.add_error("condition", "Only an IP address can match a CIDR.")
        try:
            ip_network(value, strict=False)
        except ValueError:
            self.add_error("value", f"“{value}” is not a network such as 10.1.0.0/16.")


class LocationForm(PageForm):
    """A group of client devices."""

    join = forms.ChoiceField(label="Match", choices=[("and", "All rules"), ("or", "Any rule")], required=False)
    rules = RowsField(
        LocationRow, label="Clients whose", add_label="Add row", least=1,
        help_text="Browsers tell all of these but manufacturer and device id, which come from native clients. Only "
        "IP address and gateway cannot be made up by the client.",
    )  # fmt: skip
    notes = notes()

    class Meta:
        model = Location
        fields: ClassVar = ["name", "order", "rules", "notes"]
        help_texts: ClassVar = {"order": "A client belongs to the first location that matches, smallest number first."}

    sections: ClassVar = [
        Section("Location", "", ["name", "order"]),
        Section("Clients", "Which clients are there.", ["join", "rules"]),
        Section("", "", ["notes"]),
    ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["join"] = "and" if self.instance.match_all else "or"
        self.fields["rules"].required = True
        self.fields["rules"].error_messages["required"] = "Enter at least one row with a value."
        if not self.instance.pk:
            last = Location.objects.order_by("-order").values_list("order", flat=True).first() or 0
            self.initial.setdefault("order", last + 1)

    def instance_values(self) -> None:
        """All, or any."""
        super().instance_values()
        self.instance.match_all = self.cleaned_data.get("join") != "or"


class TesterForm(forms.Form):
    """ "Which location matches this address?"."""

    ip = forms.GenericIPAddressField(
        label="IP address", required=False, error_messages={"invalid": "This is no IP address."}
    )
