"""The form of a protocol plan: a section for each kind of client, in it the protocols with their priorities."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms

from broker.core.forms import PageForm, Section, When, unless
from broker.core.widgets import speak
from gateways.models import Gateway
from plans.fields import TaggedText, tag_errors, tag_list, template_errors
from plans.forms import NOTES, notes
from plans.models import ProtocolChoice, ProtocolPlan
from plans.rdp import DEFAULT_RDP_TEMPLATE

Client = ProtocolChoice.Client
Protocol = ProtocolChoice.Protocol
# What the form offers: only what works. RDP in the browser comes with the gateway's viewer.
SHOWN: dict[str, tuple[str, ...]] = {Client.WEB: (Protocol.RDP,), Client.NATIVE: (Protocol.RDP,)}
PRIORITIES = [("", "Do not use"), (1, "1"), (2, "2")]
COLUMNS = ("priority", "template", "command_line", "gateway")


def columns(client: str) -> tuple[str, ...]:
    """What a protocol has in the section of a client; only programs on the user's device have a command line."""
    return tuple(name for name in COLUMNS if name != "command_line" or client == Client.NATIVE)


def entries() -> Iterator[tuple[str, str, str]]:
    """(client, protocol, prefix of its field names)."""
    for client, protocols in SHOWN.items():
        for protocol in protocols:
            yield client, protocol, f"{client}_{protocol}"


def section(client: str, title: str, help_text: str) -> Section:
    """One client's section."""
    return Section(title, help_text, [
        f"{prefix}_{name}" for of, _, prefix in entries() if of == client for name in columns(client)
    ])  # fmt: skip


def while_used() -> dict[str, When]:
    """A protocol that is not used asks nothing else."""
    return {
        f"{prefix}_{name}": unless(f"{prefix}_priority", "", "None")
        for client, _, prefix in entries() for name in columns(client) if name != "priority"
    }  # fmt: skip


class ProtocolPlanForm(PageForm):
    """Plan name, and how each kind of client connects."""

    notes = notes()

    class Meta:
        model = ProtocolPlan
        fields: ClassVar = ["name", "notes"]

    sections: ClassVar = [
        section(Client.WEB, "Web client", "People who sign in with a browser. Microsoft RDP: the browser downloads "
                "an .rdp file that opens the desktop."),
        section(Client.NATIVE, "Native client", "People who sign in with a program on their device. Microsoft RDP."),
        NOTES,
    ]  # fmt: skip
    show_when: ClassVar = while_used()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plan = self.instance
        rows = plan.choices.filter(protocol__in=Protocol.values) if plan.pk else []
        stored = {(row.client, row.protocol): row for row in rows}
        for client, protocol, prefix in entries():
            made = self.protocol_fields(client, protocol)
            row = stored.get((client, protocol))
            for name, field in made.items():
                self.fields[f"{prefix}_{name}"] = field
                if plan.pk:
                    self.initial[f"{prefix}_{name}"] = value_of(row, name)
        speak(self)

    def protocol_fields(self, client: str, protocol: str) -> dict[str, forms.Field]:
        """The fields of one protocol; without a gateway there is none to choose."""
        several = len(SHOWN[client]) > 1
        before = f"{Protocol(protocol).label}: " if several else ""
        made: dict[str, forms.Field] = {
            "priority": forms.TypedChoiceField(
                choices=PRIORITIES, coerce=int, empty_value=None, required=False, initial=1, label=f"{before}Priority",
                help_text="The protocol with 1 is tried first.",
            ),
            "template": TaggedText(
                template_errors, 14, initial=DEFAULT_RDP_TEMPLATE, label=f"{before}Configuration file",
                help_text=tag_list(),
            ),
            "command_line": TaggedText(
                tag_errors, 2, max_length=1000, label=f"{before}Command line parameters",
                help_text="Given to the viewer on the user's device. The same dynamic tags.",
            ),
        }  # fmt: skip
        if Gateway.objects.exists():
            made["gateway"] = forms.ModelChoiceField(
                Gateway.objects.order_by("name"), required=False, label=f"{before}Gateway",
                empty_label="None: connect directly",
            )  # fmt: skip
        return {name: made[name] for name in columns(client) if name in made}

    def clean(self) -> dict[str, Any]:
        """In each section something must be usable, and no two protocols may have the same priority."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for client in SHOWN:
            names = [f"{prefix}_priority" for of, _, prefix in entries() if of == client]
            if not any(cleaned.get(name) for name in names):
                self.add_error(names[0], "Give a priority to at least one protocol: nobody could connect from here.")
            for name in twice(names, cleaned):
                self.add_error(name, "Another protocol of this section has this priority already.")
        return cleaned

    def save(self, commit: bool = True) -> ProtocolPlan:
        """The plan and its rows."""
        plan: ProtocolPlan = super().save(commit)
        shown = [protocol for protocols in SHOWN.values() for protocol in protocols]
        plan.choices.filter(protocol__in=shown).update(priority=None)  # two rows may trade their priorities
        for client, protocol, prefix in entries():
            values = {name: self.cleaned_data.get(f"{prefix}_{name}") for name in columns(client)
                      if f"{prefix}_{name}" in self.fields}  # fmt: skip
            ProtocolChoice.objects.update_or_create(plan=plan, client=client, protocol=protocol, defaults=values)
        return plan


def value_of(row: ProtocolChoice | None, name: str) -> Any:
    """What a stored plan says; a protocol without a row is not used."""
    if row is None:
        return DEFAULT_RDP_TEMPLATE if name == "template" else None
    return row.gateway_id if name == "gateway" else getattr(row, name)


def twice(names: list[str], cleaned: dict[str, Any]) -> list[str]:
    """The fields whose priority an earlier field has already."""
    seen: set[Any] = set()
    found = []
    for name in names:
        value = cleaned.get(name)
        if value and value in seen:
            found.append(name)
        seen.add(value)
    return found
