"""The form of a protocol plan: a section for each kind of client, in it the protocols with their priorities."""

from collections.abc import Iterator
from typing import Any, ClassVar

from broker.core.forms import PageForm, Section, When, unless, when
from broker.core.widgets import speak
from gateways.models import Gateway, GatewayCluster
from plans import protocol_fields as fields
from plans.forms import NOTES, notes
from plans.models import ProtocolChoice, ProtocolPlan

Client = ProtocolChoice.Client
Protocol = ProtocolChoice.Protocol
FILES = (Protocol.RDP, Protocol.DCV)
WEB_ORDER = (
    Protocol.HTML5_RDP,
    Protocol.RDP,
    Protocol.HTML5_SCREEN,
    Protocol.HTML5_VNC,
    Protocol.HTML5_SSH,
    Protocol.DCV,
)
SHOWN: dict[str, tuple[str, ...]] = {Client.WEB: WEB_ORDER, Client.NATIVE: (Protocol.RDP,)}
NO_GATEWAY = "A viewer in the browser runs on a gateway: choose the one that it goes through."


def columns(client: str, protocol: str) -> tuple[str, ...]:
    """What a protocol has in the section of a client; only programs on the user's device have a command line."""
    if protocol not in FILES:
        return ("priority", "gateway", "port", "sign_in", *fields.SIGN_IN[protocol])
    line = ("command_line",) if client == Client.NATIVE else ()
    return ("priority", "template", *line, "gateway", *(("port",) if client == Client.WEB else ()))


def entries() -> Iterator[tuple[str, str, str]]:
    """(client, protocol, prefix of its field names)."""
    for client, protocols in SHOWN.items():
        for protocol in protocols:
            yield client, protocol, f"{client}_{protocol}"


def section(client: str, title: str, help_text: str) -> Section:
    """One client's section."""
    return Section(title, help_text, [
        f"{prefix}_{name}" for of, protocol, prefix in entries() if of == client for name in columns(client, protocol)
    ])  # fmt: skip


def while_used() -> dict[str, When]:
    """A protocol that is not used asks nothing else; who is not signed in needs no name."""
    shown = {
        f"{prefix}_{name}": unless(f"{prefix}_priority", "", "None")
        for client, protocol, prefix in entries() for name in columns(client, protocol) if name != "priority"
    }  # fmt: skip
    return shown | {
        f"{prefix}_{name}": when(f"{prefix}_sign_in", True)
        for _, protocol, prefix in entries() for name in fields.SIGN_IN.get(protocol, ())
    }  # fmt: skip


class ProtocolPlanForm(PageForm):
    """Plan name, and how each kind of client connects."""

    notes = notes()

    class Meta:
        model = ProtocolPlan
        fields: ClassVar = ["name", "notes"]

    sections: ClassVar = [
        section(Client.WEB, "Web client", "People who sign in with a browser. RDP and Amazon DCV: the browser "
                "downloads a file that opens the desktop. HTML5: the desktop is in the browser's page, by a gateway; "
                "these can be chosen as soon as there is one."),
        section(Client.NATIVE, "Native client", "People who sign in with a program on their device. Microsoft RDP."),
        NOTES,
    ]  # fmt: skip
    show_when: ClassVar = while_used()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plan = self.instance
        stored = {(row.client, row.protocol): row for row in plan.choices.all()} if plan.pk else {}
        ways = fields.ways()
        for client, protocol, prefix in entries():
            row = stored.get((client, protocol))
            if not ways and protocol not in FILES and row is None:
                continue  # a viewer needs a gateway
            before = f"{Protocol(protocol).label}: " if len(SHOWN[client]) > 1 else ""
            made = fields.made(protocol, before, ways)
            for name in columns(client, protocol):
                if name in made:
                    self.fields[f"{prefix}_{name}"] = made[name]
                    if plan.pk or not fields.starts(protocol):
                        self.initial[f"{prefix}_{name}"] = fields.value_of(row, protocol, name)
        speak(self)

    def shown(self) -> Iterator[tuple[str, str, str]]:
        """The entries that this form has."""
        return (each for each in entries() if f"{each[2]}_priority" in self.fields)

    def clean(self) -> dict[str, Any]:
        """In each section something must be usable, no two protocols may have the same priority, and a viewer has a
        gateway."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for client in SHOWN:
            names = [f"{prefix}_priority" for of, _, prefix in self.shown() if of == client]
            if not any(cleaned.get(name) for name in names):
                self.add_error(names[0], "Give a priority to at least one protocol: nobody could connect from here.")
            for name in twice(names, cleaned):
                self.add_error(name, "Another protocol of this section has this priority already.")
        for _, protocol, prefix in self.shown():
            way = f"{prefix}_gateway"
            if cleaned.get(f"{prefix}_priority") and protocol not in FILES and not cleaned.get(way):
                self.add_error(way if way in self.fields else f"{prefix}_priority", NO_GATEWAY)
        return cleaned

    def save(self, commit: bool = True) -> ProtocolPlan:
        """The plan and its rows."""
        plan: ProtocolPlan = super().save(commit)
        shown = list(self.shown())
        plan.choices.filter(protocol__in=[each[1] for each in shown]).update(priority=None)  # two may trade theirs
        for client, protocol, prefix in shown:
            values = {name: self.cleaned_data.get(f"{prefix}_{name}") for name in columns(client, protocol)
                      if f"{prefix}_{name}" in self.fields}  # fmt: skip
            if "gateway" in values:
                way = values["gateway"]
                values["gateway"] = way if isinstance(way, Gateway) else None
                values["cluster"] = way if isinstance(way, GatewayCluster) else None
            rows = plan.choices.filter(client=client, protocol=protocol)
            if not rows.update(**values) and values["priority"]:
                ProtocolChoice.objects.create(plan=plan, client=client, protocol=protocol, **values)
        return plan


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
